"""What is found recurrent: by name and layout, by shape, diagonal; and the table that comes out."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

import rmt
from rmt.audit.arrays import named
from rmt.audit.finding import MAX_N, find
from rmt.audit.weights import COLUMNS, audit
from rmt.checks import InputError

DOCS = (Path(__file__).parents[1] / "docs" / "audit.md").read_text()
RNG = np.random.default_rng(0)
H = 4


def parts(weights, **options):
    return {recurrence.name: recurrence for recurrence in find(named(weights), **options)[0]}


def reasons(weights, **options):
    return {skipped.name: skipped.reason for skipped in find(named(weights), **options)[1]}


def array(*shape):
    return RNG.standard_normal(shape)


@pytest.mark.parametrize("name", ["rnn.weight_hh_l0", "weight_hh", "encoder.0.weight_hh_l1_reverse"])
def test_torch_layouts(name):
    assert list(parts({name: array(H, H)})) == [name]
    for gates, letters in ((3, "rzn"), (4, "ifgo")):
        W = array(gates * H, H)
        found = parts({name: W})
        candidate = letters[2]
        expected = [f"{name}[{letter}]" for letter in letters]
        expected.insert(3, f"{name}[{candidate}, at rest]")
        assert list(found) == expected
        for i, letter in enumerate(letters):
            block = found[f"{name}[{letter}]"]
            np.testing.assert_array_equal(block.load(), W[i * H : (i + 1) * H])
            assert (block.kind, block.n) == ("candidate" if letter == candidate else "gate", H)
        rest = found[f"{name}[{candidate}, at rest]"]
        assert (rest.kind, rest.shift, rest.factor) == ("at rest", 0.5, 0.25)
        np.testing.assert_array_equal(rest.load(), W[2 * H : 3 * H])


@pytest.mark.parametrize("name", ["lstm/lstm_cell/recurrent_kernel", "recurrent_kernel:0", "gru.recurrent_kernel"])
def test_keras_layouts(name):
    assert list(parts({name: array(H, H)})) == [name]
    for gates, letters in ((3, "zrh"), (4, "ifco")):
        W = array(H, gates * H)
        found = parts({name: W, name.replace("recurrent_kernel", "kernel"): array(H, H)})
        assert len(found) == gates + 1
        for i, letter in enumerate(letters):
            np.testing.assert_array_equal(found[f"{name}[{letter}]"].load(), W[:, i * H : (i + 1) * H])
        assert found[f"{name}[{letters[2]}, at rest]"].kind == "at rest"


def test_flax_layouts():
    lstm = {gate: {"kernel": array(H, H), "bias": array(H)} for gate in ("hi", "hf", "hg", "ho")}
    lstm |= {gate: {"kernel": array(H, H)} for gate in ("ii", "if", "ig", "io")}
    found = parts({"params": {"cell": lstm}})
    name = "params.cell.h{}.kernel".format
    assert [found[name(gate)].kind for gate in "ifgo"] == ["gate", "gate", "candidate", "gate"]
    assert found[name("g") + "[at rest]"].kind == "at rest"
    assert len(found) == 5
    gru = {gate: {"kernel": array(H, H)} for gate in ("hr", "hz", "hn", "ir", "iz", "in")}
    assert [part.kind for part in parts(gru).values()] == ["gate", "gate", "candidate", "at rest"]
    assert list(parts({"h": {"kernel": array(H, H)}, "i": {"kernel": array(H, H)}})) == ["h.kernel"]
    nnx = {"dense_h": {"kernel": array(H, 4 * H)}, "dense_i": {"kernel": array(3, 4 * H)}}
    assert list(parts(nnx)) == [f"dense_h.kernel[{part}]" for part in ("i", "f", "g", "g, at rest", "o")]
    scanned = parts({"hn": {"kernel": array(2, H, H)}})
    assert list(scanned) == [f"hn.kernel[{i}]" for i in ("0", "0, at rest", "1", "1, at rest")]


def test_lstm_with_a_projection_is_a_recurrence_of_its_cell():
    W, P = array(4 * 6, 2), array(2, 6)
    found = parts({"weight_hh_l0": W, "weight_hr_l0": P, "weight_ih_l0": array(24, 3)})
    assert [part.n for part in found.values()] == [6] * 5
    np.testing.assert_allclose(found["weight_hh_l0[f]"].load(), W[6:12] @ P)
    assert reasons({"weight_hh_l0": W, "weight_hr_l0": P})["weight_hr_l0"].startswith("projection")


@pytest.mark.parametrize(
    "name", ["W_hh", "cell.W_rec", "Whh", "h2h.weight", "hh.kernel", "w_h", "rnn/recurrent_weights"]
)
def test_plain_names(name):
    other = "dense.weight"
    assert list(parts({name: array(H, H), other: array(H, H)})) == [name]
    assert "--all" in reasons({name: array(H, H), other: array(H, H)})[other]


def test_reservoir():
    W = sparse.random(30, 30, 0.2, format="csr", rng=0)
    weights = {"W": W, "Win": array(30, 30), "Wout": array(30, 30), "dense": array(5, 5)}
    found = parts(weights)
    assert list(found) == ["W"]
    np.testing.assert_array_equal(found["W"].load(), W.toarray())


def test_transposing_changes_nothing():
    W = rmt.glorot(12).draw(rng=0)
    keys = ["radius", "scale", "norm", "numerical_radius_high", "non_normality", "log10_rms", "gain"]
    one, other = rmt.audit_weights(W)[keys], rmt.audit_weights(W.T)[keys]
    np.testing.assert_allclose(one, other, rtol=1e-9)


def test_unknown_squares_are_assumed_recurrent_only_among_themselves():
    weights = {"a": array(H, H), "b": array(2, H, H), "c": array(H), "d": array(1, 1), "e": array(2, 2, H, H)}
    assert list(parts(weights)) == ["a", "b[0]", "b[1]"]
    assert set(reasons(weights)) == {"c", "d", "e"}
    weights["weight_hh"] = array(H, H)
    assert list(parts(weights)) == ["weight_hh"]
    assert sorted(parts(weights, every=True)) == ["a", "b[0]", "b[1]", "weight_hh"]


def test_many_unknown_squares_are_no_recurrent_network():
    weights = {f"layers.{i}.query": array(H, H) for i in range(17)}
    with pytest.raises(InputError, match=r"17 square arrays are there, .* as in layers\.0\.query; --only NAME chooses"):
        parts(weights)
    assert len(parts(weights, every=True)) == 17
    assert len(parts(weights, only=["*.3.*"])) == 1


def test_halves_of_a_weight_norm_are_not_audited():
    halves = {"rnn.weight_hh_l0_g": array(H, 1), "rnn.weight_hh_l0_v": array(H, H)}
    with pytest.raises(InputError, match=r"half of a weight norm: audit the weight .*remove_weight_norm\)") as error:
        parts(halves)
    assert "--only" not in str(error.value)
    found = reasons(halves | {"weight_hh_l1": array(H, H)})
    assert all(found[name].startswith("half of a weight norm") for name in halves)
    assert list(parts({"weight_v": array(H, H)})) == ["weight_v"]  # without a g it is another's name


def test_a_complex_vector_is_assumed_diagonal_where_nothing_else_is_found():
    d = 1.1 * np.exp(1j * np.arange(3))
    for weights in ({"A": d, "bias": array(3)}, {"W": d}):
        (found,) = parts(weights).values()
        assert (found.kind, found.reason) == ("diagonal", "complex vector, assumed to be eigenvalues")
        assert found.name not in reasons(weights)
        np.testing.assert_array_equal(found.load(), d)
        assert rmt.audit_weights(weights).unstable.tolist() == [True]
    assert list(parts({"A": d, "x": array(H, H)})) == ["x"]
    assert list(parts({"A": d, "Lambda": d})) == ["Lambda"]
    for weights in ({"A": d.real}, {str(i): d for i in range(17)}, {"embedding": d}):
        with pytest.raises(InputError, match="no recurrent matrix was found"):
            parts(weights)


def test_only_chooses_by_name():
    weights = {"weight_hh_l0": array(4 * H, H), "weight_ih_l1": array(H, H), "d": array(H), "x": array(2, 3)}
    assert len(parts(weights, only=["weight_hh*"])) == 5
    assert list(parts(weights, only=["weight_ih_l1"])) == ["weight_ih_l1"]
    assert parts(weights, only=["d"])["d"].kind == "diagonal"
    assert set(reasons(weights, only=["d"]).values()) == {"not asked for"}
    with pytest.raises(InputError, match="only must match a name, got 'y'; names: weight_hh_l0"):
        parts(weights, only=["y"])
    with pytest.raises(InputError, match="not square"):
        parts(weights, only=["x"])


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("rnn.weight_ih_l1", (H, H), "input weights"),
        ("i2h.weight", (H, H), "input weights"),
        ("ig.kernel", (H, H), "input weights"),
        ("W_out", (H, H), "output weights"),
        ("token_embedding.weight", (H, H), "embedding"),
        ("optimizer.state.0.weight_hh_l0", (H, H), "optimizer"),
        ("opt_state.0.mu.hn.kernel", (H, H), "optimizer"),
        ("opt_state.nu_log", (H,), "optimizer"),
        ("rnn.parametrizations.weight_hh_l0.original", (H, H), "parametrization"),
        ("weight_hh_l1", (5 * H, H), "no shape that is known"),
        ("conv_lstm/recurrent_kernel", (3, 3, H, H), "no shape that is known"),
        ("x", (H, 3), "not square"),
        ("y", (H,), "a vector"),
        ("z", (), "a number"),
        ("e", (0, 0), "empty"),
    ],
)
def test_reasons(name, shape, words):
    weights = {"weight_hh_l0": array(H, H), name: np.zeros(shape), "theta_log": array(H), "mask": np.ones((H, H), bool)}
    found = reasons(weights)
    assert words in found[name]
    assert found["mask"] == "entries of type bool"
    assert list(parts(weights)) == ["weight_hh_l0"]


def test_nothing_recurrent_is_an_error_that_says_what_is_there():
    with pytest.raises(InputError, match=r"a \(3, 2\) \(not square\), b \(5,\) \(a vector\); --only NAME"):
        find(named({"a": array(3, 2), "b": array(5)}))
    with pytest.raises(InputError, match=r"a \(3, 2\) \(not square\)$"):  # which --only would not help
        find(named({"a": array(3, 2)}))


def test_a_path_is_told_which_command_reads_files():
    for path in ("model.pt", Path("model.pt")):
        with pytest.raises(InputError, match=r"without an array; a file is read by `rmt audit FILE`$"):
            rmt.audit_weights(path)


def test_diagonal_recurrences():
    nu, theta = array(5), array(5)
    A, imaginary, dt, weights = array(3, 5), array(3, 5), array(3), {}
    weights["lru"] = {"nu_log": nu, "theta_log": theta, "gamma_log": array(5)}
    weights["s5"] = {"Lambda_re": A[0], "Lambda_im": imaginary[0], "log_step": dt[0] + np.zeros((5, 1))}
    weights["s5_bare"] = {"Lambda_re": A[0], "Lambda_im": imaginary[0]}
    weights["s4d"] = {"log_A_real": A, "A_imag": imaginary, "log_dt": dt, "C": array(3, 5)}
    weights["mamba"] = {"A_log": A, "dt_proj": {"bias": dt}, "in_proj": array(3, 3)}
    weights["mamba2"] = {"A_log": dt, "dt_bias": dt}
    weights["plain"] = {"Lambda": A[1] + 1j * imaginary[1]}
    weights["bare"] = {"A_log": dt}
    expected = {
        "lru.nu_log": [np.exp(-np.exp(v)) * np.exp(1j * np.exp(t)) for v, t in zip(nu, theta, strict=True)],
        "s5.Lambda_re": np.exp(np.exp(dt[0]) * (A[0] + 1j * imaginary[0])),
        "s5_bare.Lambda_re": A[0] + 1j * imaginary[0],
        "s4d.log_A_real": [
            np.exp(np.exp(dt[i]) * (-np.exp(A[i, j]) + 1j * imaginary[i, j])) for i in range(3) for j in range(5)
        ],
        "mamba.A_log": [np.exp(-np.log1p(np.exp(dt[i])) * np.exp(A[i, j])) for i in range(3) for j in range(5)],
        "mamba2.A_log": np.exp(-np.log1p(np.exp(dt)) * np.exp(dt)),
        "plain.Lambda": A[1] + 1j * imaginary[1],
        "bare.A_log": np.exp(-np.exp(dt)),
    }
    found = parts(weights)
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name].load(), values, rtol=1e-13, err_msg=name)
        assert (found[name].kind, found[name].n) == ("diagonal", len(values))
    assert "no step is there" in found["s5_bare.Lambda_re"].reason
    assert "softplus(dt_bias)" in found["mamba2.A_log"].reason
    assert set(reasons(weights)) == {"lru.gamma_log", "s4d.C", "mamba.in_proj"}
    assert list(parts(weights, only=["lru.theta_log"])) == ["lru.nu_log"]


def test_diagonal_that_cannot_be_read():
    with pytest.raises(InputError, match="do not fit"):
        rmt.audit_weights({"A_log": array(3, 5), "log_dt": array(2)})
    with pytest.raises(InputError, match="finite eigenvalues"):
        rmt.audit_weights({"Lambda_re": np.array([1e3]), "Lambda_im": np.array([0.0]), "log_step": np.array([10.0])})
    stable = rmt.audit_weights({"nu_log": np.array([800.0, -800.0]), "theta_log": np.zeros(2)})
    assert stable.radius[0] == 1


def test_names_of_trees_and_models():
    class Variable:
        def __init__(self, path):
            self.path, self.shape, self.dtype = path, (2, 2), "float32"

        def __array__(self, dtype=None, copy=None):
            return np.eye(2, dtype="f4")

    class Model:
        weights = (Variable("rnn/recurrent_kernel"), Variable("dense/kernel"))

    class Module:
        def state_dict(self):
            return {"weight_hh": np.eye(2)}

    assert list(named(Model())) == ["rnn/recurrent_kernel", "dense/kernel"]
    assert rmt.audit_weights(Model()).name.tolist() == ["rnn/recurrent_kernel"]
    assert list(named(Module())) == ["weight_hh"]
    assert list(named(np.eye(2))) == list(named([[1.0, 2.0], [3.0, 4.0]])) == ["W"]
    assert list(named([np.eye(2), {"a": (np.eye(2), "text", 3, None)}])) == ["0", "1.a.0"]
    assert named({"a": [[1, 2], [3, 4]]})["a"].shape == (2, 2)


def test_lru_of_the_initialisers():
    eigenvalues = rmt.initializers.ring(50, r_min=0.5, r_max=0.9, rng=0)
    table = rmt.audit_weights({"lru": rmt.initializers.lru_parameters(eigenvalues)})
    assert table.name.tolist() == ["lru.nu_log"]
    assert table.radius[0] == pytest.approx(np.abs(eigenvalues).max(), rel=1e-12)


def test_trees_that_do_not_end():
    endless = {}
    endless["a"] = endless
    lists = [np.eye(2)]
    for _ in range(30):
        lists = [lists] * 10  # 10^30 leaves
    for tree in (endless, lists):
        with pytest.raises(InputError, match=r"at most"):
            named(tree)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (5, "got int without an array"),
        ({}, "got dict without an array"),
        ({"W": np.array([[1.0, np.nan], [0.0, np.inf]])}, "W must be finite: 2 of 4 entries"),
        ({"W": np.full((2, 2), 1e150)}, "W: entries must be at most 1e"),
        ({"W": np.zeros((MAX_N + 1, MAX_N + 1), "i1")}, "n <= 4,096"),
        ({"weight_hh": np.broadcast_to(0.0, (4 * 10**7, 10**7))}, "n <= 4,096"),
        (
            {"W": np.broadcast_to(0.0, (MAX_N, MAX_N))},
            "steps must be below 65,536 for W, which has n = 4,096, got 65,536",
        ),
        ({"W": np.broadcast_to(0.0, (10**6, 2, 2))}, "1,000 are audited"),
        ({"a.b": np.eye(2), "a": {"b": np.eye(2)}}, "two arrays named 'a.b'"),
        ({"W": np.array([["a", "b"], ["c", "d"]])}, "no recurrent matrix"),
        ({"W": np.array([[None, {}], [0, 1]])}, "no recurrent matrix"),
    ],
)
def test_bad_weights(weights, words):
    with pytest.raises(InputError, match=re.escape(words)):
        rmt.audit_weights(weights, steps=2**16)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 0}, "steps must be"),
        ({"steps": 2.5}, "steps must be"),
        ({"steps": 10**13}, "steps must be"),
        ({"limit": 1.0}, "limit must be"),
        ({"limit": np.nan}, "limit must be"),
        ({"gates": "shut"}, "'open', 'rest'"),
        ({"only": 3}, "only must be a pattern of names, or several of them, got 3"),
        ({"only": ["a", 3]}, "only must be a pattern of names, or several of them, got ['a', 3]"),
    ],
)
def test_bad_options(options, words):
    with pytest.raises(InputError, match=re.escape(words)):
        rmt.audit_weights(np.eye(2), **options)


def test_table():
    lstm = np.concatenate([2 * rmt.glorot(8).draw(rng=i) for i in range(4)])
    weights = {"weight_hh_l0": lstm, "nu_log": np.zeros(3), "theta_log": np.zeros(3), "bias": np.zeros(4)}
    table = rmt.audit_weights(weights, steps=500)
    assert tuple(table.columns) == COLUMNS
    assert table.attrs["steps"] == 500
    assert table.attrs["limit"] == 10 * np.sqrt(500)
    assert table.attrs["skipped"] == [("bias", (4,), "a vector")]
    assert table.kind.tolist() == ["gate", "gate", "candidate", "at rest", "gate", "diagonal"]
    assert table.counts.tolist() == [False, False, True, True, False, True]
    assert table.verdict[0] == "explodes"
    assert table.unstable.tolist() == [False, False, True, False, False, False]
    assert table.gain.isna().tolist() == [True, True, False, False, True, False]
    assert str(table.step_limit.dtype) == "Int64"
    at_rest = rmt.audit_weights(weights, steps=500, gates="rest")
    assert at_rest.counts.tolist() == [False, False, False, True, False, True]
    assert not at_rest.unstable.any()


def test_mending_what_is_unstable():
    weights = {"weight_hh_l0": np.concatenate([6 * rmt.glorot(8).draw(rng=i) for i in range(3)])}
    table = rmt.audit_weights(weights).set_index("kind")
    assert table.unstable[["candidate", "at rest"]].all()
    weights["weight_hh_l0"][16:] *= table.gain[["candidate", "at rest"]].min()
    assert not rmt.audit_weights(weights).unstable.any()


def test_threads_do_not_matter(monkeypatch):
    weights = {"W": rmt.glorot(12).draw(5, rng=0)}
    monkeypatch.setenv("RMT_NUM_THREADS", "1")
    one = rmt.audit_weights(weights)
    monkeypatch.setenv("RMT_NUM_THREADS", "4")
    assert one.equals(rmt.audit_weights(weights))


def test_one_pattern_may_be_a_string():
    assert rmt.audit_weights({"ab": np.eye(2), "bb": np.eye(2)}, only="a*").name.tolist() == ["ab"]


def test_unstable_are_named_in_the_order_of_their_steps():
    found = audit(named({"a": 1.1 * np.eye(2), "b": 2 * np.eye(2), "c": 0.5 * np.eye(2)}))
    assert [finding.recurrence.name for finding in found.unstable] == ["b", "a"]
    assert json.dumps([finding.row() for finding in found.findings], allow_nan=False)


def test_the_page_names_every_key():
    keys = set(re.findall(r"`(\w+)`", DOCS))
    assert set(COLUMNS) <= keys
    assert set(rmt.audit_weights(np.eye(2)).columns) <= keys
