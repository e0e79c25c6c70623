"""A command ends quietly when the program that reads its output has ended, as with `| head`."""

import os
import signal

import pytest

from spinpot.core.closed_output import output_may_close
from support.cli import PROJECT, run_python


@pytest.fixture
def closed():
    """The writing end of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@pytest.mark.parametrize("command", ["train --help", "train --cfg job", "analyze --help"])
def test_ends_quietly(command, closed, tmp_path):
    script, *arguments = command.split()
    ended = run_python([PROJECT / "scripts" / f"{script}.py", *arguments], stdout=closed, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (128 + signal.SIGPIPE, "")


def test_a_run_without_a_step_leaves_no_folder(small_set, closed, tmp_path):
    script = PROJECT / "scripts" / "train.py"
    ended = run_python([script, *small_set, "hydra.run.dir=run"], stdout=closed, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (128 + signal.SIGPIPE, "")
    assert not list(tmp_path.iterdir())


def test_another_broken_pipe_is_an_error():
    with pytest.raises(BrokenPipeError), output_may_close():
        raise BrokenPipeError
