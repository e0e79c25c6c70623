"""Fixtures: small frames, a finished run, and refused runs."""

import pytest

from support.folders import write_small_set
from support.in_process import run_here, the_message


@pytest.fixture(scope="session")
def small_set(tmp_path_factory):
    return write_small_set(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def finished(small_set, tmp_path_factory):
    """A run of four steps."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
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
