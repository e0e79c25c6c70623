"""Programs whose memory is measured."""

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from spinpot.core.errors import InputError


def run_measured(command: Sequence[str], folder: Path, settings: Mapping[str, str]) -> tuple[str, int]:
    """What a command says, and the bytes of memory that it or the largest of its children needs.

    settings: of the environment. Raises InputError with its last words if it fails.
    """
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=errors,
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        words = [_read(said), _read(errors)]
    if process.returncode:
        raise InputError(f"{' '.join(command)} failed: {''.join(words).strip()[-2000:]}")
    return words[0], used.ru_maxrss * 1024


def _read(file: object) -> str:
    file.seek(0)  # type: ignore[attr-defined]
    return str(file.read().decode(errors="replace"))  # type: ignore[attr-defined]
