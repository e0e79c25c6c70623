"""Writing files whole or not at all, and one process at a time."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock


def write_atomically(path: Path, contents: str | bytes) -> None:
    """Write a file under a temporary name beside its place, then put it there."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    data = contents.encode() if isinstance(contents, str) else contents
    temporary.write_bytes(data)
    temporary.replace(path)


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Let one process at a time make a folder: of a run, of a sweep, of all nodes that share the disk."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = folder.with_name(f".{folder.name}.lock")
    with FileLock(lock):
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def null_for_nan(values: Mapping[str, float]) -> dict[str, float | None]:
    """NaN, which JSON does not have, becomes None."""
    return {key: None if math.isnan(value) else value for key, value in values.items()}
