"""Small frames, a finished run, and runs that are refused."""

from contextlib import contextmanager
from unittest import mock

import pytest

from support.folders import write_small_set
from support.in_process import run_here, the_message


@contextmanager
def no_pictures():
    """Drawing takes longer than the few runs here that succeed; empty files stand for what is drawn."""

    def pretend(folder, *_):
        for name in ("report.html", "parity.png", "learning_curve.png"):
            (folder / name).write_text("")

    with mock.patch("spinpot.training.finish.write_run_report", side_effect=pretend):
        yield


@pytest.fixture(scope="module")
def without_pictures():
    with no_pictures():
        yield


@pytest.fixture(scope="session")
def small_set(tmp_path_factory):
    return write_small_set(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def finished(small_set, tmp_path_factory):
    """A run of four steps."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    with no_pictures():
        result = run_here("train.py", *small_set, f"hydra.run.dir={folder}", cwd=folder.parent)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def place(tmp_path):
    """An empty folder where the user stands."""
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


@pytest.fixture
def refused(small_set, place):
    """The message of a run with wrong arguments, after which nothing is left behind."""

    def refuse(*arguments, run=run_here, flags=()):
        folder = place.parent / "run"
        result = run("train.py", *flags, *small_set, f"hydra.run.dir={folder}", *arguments, cwd=place)
        message = the_message(result)
        assert not folder.exists()
        assert not list(place.iterdir())
        return message

    return refuse
