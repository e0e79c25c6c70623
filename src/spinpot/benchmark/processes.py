"""Programs of a benchmark, each in a process of its own."""

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
"""Linux says there how much memory a process has needed since its program began.

What a parent learns of a child has the memory of whoever started it, too: of Python, which starts LAMMPS.
"""
PEAK = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)
OWN = re.compile(r"^RssAnon:\s+(\d+) kB", re.MULTILINE)
"""Without the pages of files, which the system keeps for all."""
PERIOD = 0.05  # seconds between two looks at OWN, of which Linux keeps no peak


def run(command: Sequence[str], folder: Path | None = None, settings: Mapping[str, str] | None = None) -> str:
    """What a command says. settings: of the environment. Raises InputError with its last words."""
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
    """Bytes, from the contents of STATUS; None where they are not there."""
    return _bytes(PEAK, status)


class Watched(NamedTuple):
    """What a command said, the seconds until it said a line, and the most bytes of one of its processes."""

    said: str
    seconds: float
    memory: int | None


def watch(command: Sequence[str], folder: Path, line: re.Pattern[str]) -> Watched:
    """Run a command. Raises InputError with its last words if it fails or never says a line like that."""
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
        except BaseException:  # as Ctrl-C: nobody would wait for it
            process.kill()
            raise
    looking.join()
    if process.returncode or seconds is None:
        raise _failed(command, "".join(said))
    return Watched("".join(said), seconds, max(memory, default=0) or None)


def _failed(command: Sequence[str], said: str) -> InputError:
    return InputError(f"{' '.join(map(str, command))} failed: {said.strip()[-2000:]}")


def _look(process: subprocess.Popen[str], memory: list[int]) -> None:
    """While a process runs, add OWN of the largest of its processes to a list, in bytes."""
    while process.poll() is None:
        memory.append(max(_owned(process.pid), default=0))
        time.sleep(PERIOD)


def _owned(process: int) -> Iterator[int]:
    with suppress(OSError):  # of a process that has ended meanwhile
        place = Path(f"/proc/{process}")
        yield _bytes(OWN, (place / "status").read_text()) or 0
        for started in place.glob("task/*/children"):
            for child in started.read_text().split():
                yield from _owned(int(child))


def _bytes(line: re.Pattern[str], status: str) -> int | None:
    found = line.search(status)
    return 1024 * int(found[1]) if found else None
