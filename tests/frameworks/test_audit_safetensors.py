"""The reader of safetensors against files that the reference implementation writes."""

import numpy as np
import pytest

from rmt.audit.reading import read

reference = pytest.importorskip("safetensors.numpy", reason="the reference implementation is not installed")


def test_files_of_the_reference_implementation(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {f"a.{dtype}": (8 * rng.standard_normal((3, 5))).astype(dtype) for dtype in ("f8", "f4", "f2", "i8", "i1")}
    arrays |= {"complex": np.ones((2, 2), "c8"), "empty": np.zeros((0, 3)), "scalar": np.array(2.5)}
    reference.save_file(arrays, tmp_path / "a.safetensors", metadata={"format": "np"})
    found = read(tmp_path / "a.safetensors")
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name].array(), array)


def test_bfloat16_of_torch(tmp_path):
    torch = pytest.importorskip("torch", reason="there was no CPU build of PyTorch to install")
    from safetensors.torch import save_file

    values = torch.randn(4, 4, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    save_file({"W": values}, tmp_path / "a.safetensors")
    np.testing.assert_array_equal(read(tmp_path / "a.safetensors")["W"].array(), values.double().numpy())
