"""What the tools of the repository decide."""

import runpy
from pathlib import Path

import pytest

requirement = runpy.run_path(str(Path(__file__).parents[1] / "tools" / "cpu_torch.py"))["requirement"]

USUAL = "torch (2.15.0)\nAvailable versions: 2.15.0, 2.14.1, 2.13.0"
LABELLED = "torch (2.15.0)\nAvailable versions: 2.15.0, 2.13.0+cpu, 2.13.0, 2.12.1+cpu, 2.12.1"


@pytest.mark.parametrize(
    ("platform", "versions", "expected"),
    [
        ("linux", USUAL, ""),
        ("linux", LABELLED, "torch==2.13.0+cpu"),
        ("linux", "", ""),
        ("darwin", USUAL, "torch"),
        ("win32", LABELLED, "torch==2.13.0+cpu"),
    ],
)
def test_no_build_of_torch_that_brings_cuda_is_installed(platform, versions, expected):
    assert requirement(platform, versions) == expected
