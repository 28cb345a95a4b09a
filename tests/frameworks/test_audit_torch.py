"""The audit of PyTorch modules and files, in PyTorch."""

import os
import pickle
import warnings

import numpy as np
import pytest

import rmt
from rmt.audit.reading import read
from rmt.checks import InputError
from rmt.cli import main

torch = pytest.importorskip(
    "torch",
    reason="there was no CPU build of PyTorch to install; to run these tests, install one into this environment",
)
H = 16


def seeded(module):
    """A module with weights that are large enough to be unstable, and no biases."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if "weight" in name:
                weight.normal_(std=3 / H**0.5)
            else:
                weight.zero_()
    return module


def rows(module):
    return rmt.audit_weights(module).set_index("name")


def radius(jacobian):
    return np.abs(np.linalg.eigvals(jacobian.detach().double().numpy())).max()


def test_module_state_dict_and_file_agree(tmp_path):
    module = seeded(torch.nn.LSTM(5, H, num_layers=2, bidirectional=True))
    table = rmt.audit_weights(module)
    assert len(table) == 4 * 5
    assert table.equals(rmt.audit_weights(module.state_dict()))
    for old in (False, True):
        torch.save(module.state_dict(), tmp_path / "a.pt", _use_new_zipfile_serialization=not old)
        assert table.equals(rmt.audit_weights({name: w.array() for name, w in read(tmp_path / "a.pt").items()}))
        assert main(["audit", str(tmp_path / "a.pt")]) == 1
    checkpoint = {"epoch": 3, "lr": 0.1, "name": "x", "model": module.state_dict()}
    torch.save(checkpoint | {"optimizer": {"state": {0: {"exp_avg": torch.eye(3)}}}}, tmp_path / "b.ckpt")
    names = [row for row in read(tmp_path / "b.ckpt") if row.startswith("model.")]
    assert len(names) == len(module.state_dict())
    assert main(["audit", str(tmp_path / "b.ckpt")]) == 1


@pytest.mark.parametrize(("cell", "gate"), [(torch.nn.LSTMCell, "g"), (torch.nn.GRUCell, "n")])
def test_cell_at_rest_is_the_jacobian_at_zero(cell, gate):
    module = seeded(cell(3, H))
    zero = torch.zeros(H)
    if cell is torch.nn.LSTMCell:
        jacobian = torch.autograd.functional.jacobian(lambda h, c: module(torch.zeros(3), (h, c)), (zero, zero))
        whole = torch.cat([torch.cat(row, dim=1) for row in jacobian])
    else:
        whole = torch.autograd.functional.jacobian(lambda h: module(torch.zeros(3), h), zero)
    assert rows(module).radius[f"weight_hh[{gate}, at rest]"] == pytest.approx(radius(whole), rel=1e-5)


def test_open_gates_leave_the_recurrence_of_the_candidate():
    lstm, gru = seeded(torch.nn.LSTMCell(3, H)), seeded(torch.nn.GRUCell(3, H))
    for module, gates in ((lstm, (40.0, -40.0, 0.0, 40.0)), (gru, (40.0, -40.0, 0.0))):
        with torch.no_grad():
            module.bias_ih.copy_(torch.repeat_interleave(torch.tensor(gates), H))
    zero = torch.zeros(H)
    jacobian = torch.autograd.functional.jacobian(lambda h: lstm(torch.zeros(3), (h, zero))[0], zero)
    assert rows(lstm).radius["weight_hh[g]"] == pytest.approx(radius(jacobian), rel=1e-5)
    jacobian = torch.autograd.functional.jacobian(lambda h: gru(torch.zeros(3), h), zero)
    assert rows(gru).radius["weight_hh[n]"] == pytest.approx(radius(jacobian), rel=1e-5)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_lstm_with_projection_at_rest():
    module = seeded(torch.nn.LSTM(3, H, proj_size=5))

    def step(h, c):
        return module(torch.zeros(1, 3), (h[None], c[None]))[1]

    jacobian = torch.autograd.functional.jacobian(
        lambda h, c: tuple(x[0] for x in step(h, c)), (torch.zeros(5), torch.zeros(H))
    )
    whole = torch.cat([torch.cat(row, dim=1) for row in jacobian])
    assert rows(module).radius["weight_hh_l0[g, at rest]"] == pytest.approx(radius(whole), rel=1e-4)


def test_gain_mends_a_module():
    module = seeded(torch.nn.RNN(3, H, num_layers=2))
    table = rows(module)
    assert table.unstable.all()
    with torch.no_grad():
        for name, gain in table.gain.items():
            module.get_parameter(name).mul_(gain)
    assert not rows(module).unstable.any()


def test_growth_of_a_linear_rnn():
    W = 1.3 * torch.as_tensor(rmt.glorot(H).draw(rng=0))
    table = rmt.audit_weights(W, steps=300)
    generator, h, t = torch.Generator().manual_seed(0), torch.zeros(5000, H, dtype=torch.float64), 0
    while h.square().mean() <= table.attrs["limit"] ** 2:
        h = h @ W.T + torch.randn(h.shape, generator=generator, dtype=torch.float64)
        t += 1
    assert abs(t - table.step_limit[0]) <= 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.complex64, torch.float8_e4m3fn])
def test_types(dtype, tmp_path):
    W = torch.as_tensor(0.5 * rmt.Haar(H).draw(rng=0)).to(dtype)
    torch.save({"W_hh": W}, tmp_path / "a.pt")
    (weight,) = read(tmp_path / "a.pt").values()
    expected = W.to(torch.complex128 if dtype.is_complex else torch.float64).numpy()
    np.testing.assert_array_equal(weight.array(), expected)
    assert rmt.audit_weights({"W_hh": W}).radius[0] == pytest.approx(rmt.spectral_radius(expected), rel=1e-12)


def test_unusual_tensors():
    W = torch.as_tensor(0.5 * rmt.Haar(H).draw(rng=0))
    for tensor in (W.to_sparse(), W.T, W.requires_grad_(), torch.nn.Parameter(W.detach())):
        assert rmt.audit_weights({"W_hh": tensor}).radius[0] == pytest.approx(0.5, rel=1e-12)
    for tensor in (torch.empty(4, 4, device="meta"), torch.zeros(1).expand(10**7, 10**7)):
        with pytest.raises(InputError):
            rmt.audit_weights({"W_hh": tensor})


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def test_nothing_is_executed(capsys, tmp_path, monkeypatch):
    trace = tmp_path / "executed"
    files = {
        "new.pt": {"W_hh": Hostile(trace)},
        "old.pt": {"W_hh": Hostile(trace)},
        "module.pt": torch.nn.RNN(3, H),
    }
    for name, content in files.items():
        torch.save(content, tmp_path / name, _use_new_zipfile_serialization=name != "old.pt")
    with warnings.catch_warnings(action="ignore"):  # TorchScript is deprecated, and its files are about
        torch.jit.save(torch.jit.script(torch.nn.Linear(3, 3)), tmp_path / "script.pt")
    (tmp_path / "raw.pt").write_bytes(pickle.dumps(Hostile(trace), protocol=2))
    for look_through in (True, False):  # torch alone refuses them too
        if not look_through:
            monkeypatch.setattr("rmt.audit.torch_files._look_through", lambda path, archived: None)
        for path in sorted(tmp_path.glob("*.pt")):
            assert main(["audit", str(path)]) == 2
            out, err = capsys.readouterr()
            assert (out, err.count("\n")) == ("", 1)
            assert not trace.exists()


@pytest.mark.parametrize("old", [False, True])
def test_broken_files(tmp_path, old):
    path = tmp_path / "a.pt"
    torch.save({"W_hh": torch.eye(3), "b": torch.zeros(2)}, path, _use_new_zipfile_serialization=not old)
    good = path.read_bytes()

    def outcome(data):
        path.write_bytes(data)
        try:
            return {name: weight.array() for name, weight in read(path).items()}
        except InputError:
            return None

    assert outcome(good) is not None
    for length in range(0, len(good) - 1, 7):
        assert outcome(good[:length]) is None
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(600):
        data = bytearray(good)
        data[rng.integers(len(data))] ^= int(rng.integers(1, 256))
        refused += outcome(data) is None
    assert refused > 50


def test_what_torch_draws_by_default_and_as_glorot():
    torch.manual_seed(0)
    rnn, lstm = torch.nn.RNN(16, 128), torch.nn.LSTM(16, 128)
    assert rmt.audit_weights(rnn).scale[0] == pytest.approx(3**-0.5, rel=0.02)
    torch.nn.init.xavier_normal_(rnn.weight_hh_l0)
    assert rmt.audit_weights(rnn).scale[0] == pytest.approx(1, rel=0.03)
    torch.nn.init.xavier_normal_(lstm.weight_hh_l0)
    assert rmt.audit_weights(lstm).scale[0] == pytest.approx(0.4**0.5, rel=0.03)
