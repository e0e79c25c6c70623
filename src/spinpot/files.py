"""Writing files whole or not at all, and one process at a time."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from spinpot.errors import InputError

LFS_POINTER = b"version https://git-lfs"
"""How the file begins that stands for one which Git LFS has not fetched."""


def write_atomically(path: Path, contents: str | bytes) -> None:
    """Write a file under a temporary name beside its place, then put it there."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    data = contents.encode() if isinstance(contents, str) else contents
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)  # there only if the disk is full, or something like it


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


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep a run folder to one run while it lasts.

    Raises InputError if another holds it, or if it cannot be written to.
    """
    lock, is_new = folder / ".lock", not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = FileLock(lock, blocking=False).acquire()
    except Timeout:
        raise InputError(
            f"{folder} is in use: another process trains there. Wait for it, stop it, or give another folder "
            f"by hydra.run.dir=DIR; if there is none, remove {lock}. Nothing was changed."
        ) from None
    except OSError as error:
        raise InputError(
            f"Cannot write to {folder}: {error.strerror}. Give another folder by hydra.run.dir=DIR."
        ) from error
    with held:
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)
            if is_new:
                with suppress(OSError):  # a run that was refused leaves nothing
                    folder.rmdir()


def refuse_placeholder(path: Path) -> None:
    """Raise InputError for a file without contents and for a Git LFS pointer in place of the data."""
    with path.open("rb") as file:
        start = file.read(len(LFS_POINTER))
    if not start:
        raise InputError(f"{path}: empty file. Copy or write the file again.")
    if start == LFS_POINTER:
        raise InputError(f"{path}: a Git LFS pointer, not the data. Run `git lfs pull` in that repository.")


def null_for_nan(values: Mapping[str, float]) -> dict[str, float | None]:
    """NaN and infinities, which JSON does not have, become None."""
    return {key: value if math.isfinite(value) else None for key, value in values.items()}
