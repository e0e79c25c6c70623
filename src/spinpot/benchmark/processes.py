"""Runs the programs of a benchmark in separate processes and measures their time and memory."""

import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import NamedTuple

from spinpot.core.errors import InputError

STATUS = "/proc/self/status"
"""The file in which Linux reports the peak memory of a process since its program began.

The numbers that a parent gets about a child would include the memory of Python, which starts LAMMPS.
"""
PEAK = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)
OWN = re.compile(r"^RssAnon:\s+(\d+) kB", re.MULTILINE)
"""Memory of a process without pages of files, which the system shares."""
PERIOD = 0.05  # seconds between two readings of OWN, for which Linux records no peak


def run(command: Sequence[str], folder: Path | None = None, settings: Mapping[str, str] | None = None) -> str:
    """Run a command; returns its output. settings: environment variables. Raises InputError if it fails."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **(settings or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode:
        raise _failed(command, done.stdout + done.stderr)
    return done.stdout


def peak_memory(status: str) -> int | None:
    """The peak memory in bytes, from the contents of STATUS; None if it is missing."""
    return _bytes(PEAK, status)


class Watched(NamedTuple):
    """Output of a command, seconds until a certain line, and peak memory (bytes) of its largest process."""

    said: str
    seconds: float
    memory: int | None


def watch(command: Sequence[str], folder: Path, line: re.Pattern[str]) -> Watched:
    """Run and watch a command. Raises InputError with its output if it fails or prints no matching line."""
    started, said, seconds = time.perf_counter(), list[str](), None
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    memory = list[int]()
    looking = Thread(target=_look, args=(process, memory), daemon=True)
    looking.start()
    with process:
        try:
            for text in process.stdout or ():
                said.append(text)
                if seconds is None and line.search(text):
                    seconds = time.perf_counter() - started
        except BaseException:  # e.g. Ctrl-C: the command must not outlive the benchmark
            process.kill()
            raise
    looking.join()
    if process.returncode or seconds is None:
        raise _failed(command, "".join(said))
    return Watched("".join(said), seconds, max(memory, default=0) or None)


def _failed(command: Sequence[str], said: str) -> InputError:
    return InputError(f"{' '.join(map(str, command))} failed: {said.strip()[-2000:]}")


def _look(process: subprocess.Popen[str], memory: list[int]) -> None:
    """While a process runs, append OWN (bytes) of the largest of its processes to a list."""
    while process.poll() is None:
        memory.append(max(_owned(process.pid), default=0))
        time.sleep(PERIOD)


def _owned(process: int) -> Iterator[int]:
    with suppress(OSError):  # the process may have ended meanwhile
        place = Path(f"/proc/{process}")
        yield _bytes(OWN, (place / "status").read_text()) or 0
        for started in place.glob("task/*/children"):
            for child in started.read_text().split():
                yield from _owned(int(child))


def _bytes(line: re.Pattern[str], status: str) -> int | None:
    found = line.search(status)
    return 1024 * int(found[1]) if found else None
