"""Files are complete or absent, synced when a run relies on them, and a full disk ends with a message."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spinpot.config.app import describe
from spinpot.core.errors import InputError
from spinpot.core.files import remove_leftovers, write_atomically
from spinpot.core.output_folder import all_or_nothing
from support.cli import run_python

LIMITED = """
import resource, sys
from pathlib import Path
from spinpot.config.app import run_app
from spinpot.core.files import write_atomically
from spinpot.training.metrics_csv import MetricsCsv
resource.setrlimit(resource.RLIMIT_FSIZE, (BYTES, BYTES))
def main():
    TASK
run_app(main)
"""
"""A program whose files may have so many bytes, as under a full quota."""


def limited(task: str, folder: Path, bytes_of_a_file: int) -> subprocess.CompletedProcess:
    program = LIMITED.replace("TASK", task).replace("BYTES", str(bytes_of_a_file))
    return run_python(["-c", program], cwd=folder)


def ended_process() -> int:
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


TOO_LARGE = "the file would be larger than allowed (by `ulimit -f`, or by a quota)"
ADVICE = "Make room there, or write to another place."


GROWING = "[log.log_metrics({'lr': 0.1}, step) for log in (MetricsCsv(Path('.')),) for step in range(99)]"


@pytest.mark.parametrize(
    ("bytes_of_a_file", "task", "file"),
    [
        (200, "write_atomically(Path('a.json'), 1000 * 'x')", "a.json"),
        (200, GROWING, "metrics.csv"),
        (600, GROWING, "metrics.csv"),
    ],
)
def test_a_limit_on_files_ends_in_words(bytes_of_a_file: int, task: str, file: str, tmp_path: Path) -> None:
    result = limited(task, tmp_path, bytes_of_a_file)
    assert (result.returncode, result.stderr) == (1, f"Error: Cannot write {file}: {TOO_LARGE}. {ADVICE}\n")
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk quota is used up"),
        (errno.EFBIG, TOO_LARGE),
        (errno.EROFS, "the file system is read-only"),
    ],
)
def test_the_reasons_in_words(number: int, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    target = tmp_path / "last.ckpt"
    target.write_text("before")
    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(OSError, match=r"last\.ckpt") as caught:
        write_atomically(target, "after")
    assert describe(caught.value) == f"Cannot write {target}: {why}. {ADVICE}"
    with (
        pytest.raises(InputError) as refused,
        all_or_nothing(tmp_path / "out", last="a.json") as place,
    ):
        (place / "a.json").write_bytes(b"")
    message = (
        f"output={tmp_path / 'out'}: cannot write there: {why}. Make room there, or give another folder."
    )
    assert str(refused.value) == message
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]
    assert target.read_text() == "before"


def test_what_no_file_has_a_name_for() -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert describe(full) == f"Cannot write standard output: the disk is full. {ADVICE}"


def test_a_file_is_on_the_disk_before_it_has_its_name_and_its_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a power cut may undo is what was not asked for by fsync."""
    done = []

    def fsync(number: int) -> None:
        done.append(os.path.basename(os.readlink(f"/proc/self/fd/{number}")))
        done.append((tmp_path / "last.ckpt").exists())

    monkeypatch.setattr(os, "fsync", fsync)
    write_atomically(tmp_path / "last.ckpt", b"x")
    assert done == [f".last.ckpt.{os.getpid()}", False, tmp_path.name, True]


def test_a_file_system_without_fsync_for_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(number: int) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "fsync", fsync)
    write_atomically(tmp_path / "a", "x")
    assert (tmp_path / "a").read_text() == "x"


def test_leftovers_are_those_of_processes_that_ended(tmp_path: Path) -> None:
    ended, names = ended_process(), ("*.ckpt", "analysis")
    for name in (
        f".last.ckpt.{ended}",
        f".best.ckpt.{os.getppid()}",
        f".own.{ended}",
        ".a.ckpt.copy",
        ".x.ckpt.",
    ):
        (tmp_path / name).write_text("")
    (tmp_path / f".analysis.{ended}").mkdir()
    (tmp_path / f".analysis.{ended}" / "part.json").write_text("")
    (tmp_path / f".a.ckpt.{10**30}").write_text("")
    removed = [f".last.ckpt.{ended}", f".analysis.{ended}"]
    before = {file.name for file in tmp_path.iterdir()}
    assert remove_leftovers(tmp_path, *names) == removed
    assert {file.name for file in tmp_path.iterdir()} == before - set(removed)
    assert remove_leftovers(tmp_path / "none", *names) == []


def test_results_of_a_killed_process_of_the_same_number(tmp_path: Path) -> None:
    """As in a container, where each command may be process 1."""
    (tmp_path / f".evaluation.{os.getpid()}").mkdir()
    with all_or_nothing(tmp_path, last="evaluation.json") as place:
        (place / "evaluation.json").write_text("{}")
    assert [file.name for file in tmp_path.iterdir()] == ["evaluation.json"]
