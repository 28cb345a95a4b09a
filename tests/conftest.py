"""Fixtures of several test files."""

import sys

import demos
import pytest

import rmt


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


@pytest.fixture(scope="session")
def one_browser(tmp_path_factory):
    """A browser that all tests of one process share: to start one takes longer than most of them."""
    from devtools import tab

    with tab(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture
def window(one_browser):
    """A window of the browser, for one test; what a page logged there is an error of that test."""
    one_browser.errors.clear()
    yield one_browser
    assert not one_browser.errors, one_browser.errors


@pytest.fixture
def load(monkeypatch):
    """Load an experiment, with some of its constants changed, and its figures laid out but not written."""

    from presenting import EXPERIMENTS, check_figure

    def module_of(name, **constants):
        experiment = rmt.campaign.load(EXPERIMENTS / f"{name}.py")
        module = sys.modules[experiment.present.__module__]
        for constant, value in constants.items():
            assert hasattr(module, constant)
            monkeypatch.setattr(module, constant, value)
        monkeypatch.setattr(module.plotting, "save_figure", lambda fig, stem: check_figure(fig))
        return module

    return module_of
