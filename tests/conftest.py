"""Fixtures of several test files."""

import demos
import pytest


@pytest.fixture
def demo_file(tmp_path):
    """The path of a small experiment file."""
    path = tmp_path / "demo.py"
    path.write_text(demos.FILE)
    return path


@pytest.fixture(scope="session")
def forks():
    """A process that has everything loaded and forks runs, which may be killed."""
    import campaigns

    made = campaigns.Forks()
    yield made
    made.close()
