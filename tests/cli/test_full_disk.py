"""With a full disk every script ends with one message and leaves no incomplete files."""

import contextlib
import resource
import shutil

import pytest

from support.folders import write_npy
from support.frames import random_system
from support.in_process import run_here, the_message

TOO_LARGE = "the file would be larger than allowed (by `ulimit -f`, or by a quota)"
CUT = "not all of it could be written: the disk or a quota is full, or the file too large"


@contextlib.contextmanager
def files_of(size):
    """No file may have more bytes; a write beyond that fails, as it does where a quota is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def limited(size, place, script, *arguments):
    """The message of a script whose files may have so many bytes."""
    with files_of(size):
        return the_message(run_here(script, *map(str, arguments), cwd=place))


def names(folder):
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*"))


def test_the_first_checkpoint(small_set, place):
    message = limited(20_000, place, "train.py", *small_set, "hydra.run.dir=run")
    assert message == (
        f"Cannot write {place}/run/checkpoints/best.ckpt: {TOO_LARGE}. Make room there, or write to another "
        "place."
    )
    assert names(place / "run") == ["checkpoints", "config.yaml", "metrics.csv"]


def test_a_run_that_has_a_checkpoint_can_be_resumed(small_set, finished, place):
    folder = shutil.copytree(finished, place / "run")
    longer = [*small_set, f"hydra.run.dir={folder}", "resume=auto", "trainer.max_steps=6"]
    message = limited(20_000, place, "train.py", *longer)
    last = folder / "checkpoints" / "last.ckpt"
    assert message.startswith(f"Cannot write {folder}/checkpoints/")
    assert message.endswith(
        f".ckpt: {TOO_LARGE}. Make room there, or write to another place. The run stopped; resume=auto "
        f"resumes it from {last}."
    )
    assert names(folder / "checkpoints") == ["best.ckpt", "last.ckpt"]
    assert run_here("train.py", *longer, cwd=place).returncode == 0


def test_the_data_of_a_run(place):
    with files_of(3000):
        result = run_here("train.py", "debug=fast", "paths.data_dir=data", "hydra.run.dir=run", cwd=place)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (  # above it is a progress bar
        f"Error: Cannot write the data set NiO to {place}/data/NiO: {TOO_LARGE}. Make room there, or give "
        "another folder as paths.data_dir or by setting SPINPOT_DATA."
    )
    assert names(place) == ["data"]


@pytest.mark.parametrize("size", [100, 300])
@pytest.mark.parametrize("to", ["npy", "old", "extxyz", "lammps"])
def test_frames(place, size, to):
    """At 300 bytes numpy.save itself is silent."""
    write_npy(place / "frames", random_system(1, 5))
    old = ["--magnetic", "Ni", "--virtual-len", "0.4", "--spin-norm", "1"]
    message = limited(size, place, "prepare_data.py", "frames", "out", "--to", to, *old)
    why = message.removeprefix("out: cannot be written: ").removesuffix(
        ". Make room there, or give another folder."
    )
    assert why in (TOO_LARGE, CUT)
    assert not list(place.glob("*out*")) + list(place.glob(".*"))


@pytest.mark.parametrize("output", ["out.ckpt", "out.dp"])
def test_models(finished, place, output):
    message = limited(1000, place, "convert.py", finished, output)
    assert message == f"Cannot write {output}: {TOO_LARGE}. Make room there, or write to another place."
    assert not list(place.iterdir())


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("evaluate.py", ["checkpoint=RUN", "systems=[frames]"]),
        ("evaluate.py", ["checkpoint=[RUN,RUN]", "systems=[frames]"]),
        ("audit.py", ["systems=[frames]"]),
    ],
)
def test_results(finished, place, script, arguments):
    write_npy(place / "frames", random_system(1, 5))
    given = [argument.replace("RUN", str(finished)) for argument in arguments]
    message = limited(500, place, script, *given, "output=out")
    assert message == (
        f"output=out: cannot write there: {TOO_LARGE}. Make room there, or give another folder."
    )
    assert [file.name for file in place.iterdir()] == ["frames"]
