"""Programs of a benchmark, each in a process of its own."""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from spinpot.core.errors import InputError

STATUS = "/proc/self/status"
"""Linux says there how much memory a process has needed since its program began.

What a parent learns of a child has the memory of whoever started it, too: of Python, which starts LAMMPS.
"""
PEAK = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)


def run(command: Sequence[str], folder: Path, settings: Mapping[str, str]) -> str:
    """What a command says. settings: of the environment. Raises InputError with its last words."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **settings},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode:
        raise InputError(f"{' '.join(command)} failed: {(done.stdout + done.stderr).strip()[-2000:]}")
    return done.stdout


def peak_memory(status: str) -> int | None:
    """Bytes, from the contents of STATUS; None where they are not there."""
    found = PEAK.search(status)
    return 1024 * int(found[1]) if found else None
