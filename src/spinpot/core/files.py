"""Writing files whole or not at all, and one process at a time."""

import errno
import json
import math
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from spinpot.core.errors import InputError

LFS_POINTER = b"version https://git-lfs"
"""How the file begins that stands for one which Git LFS has not fetched."""

NO_ROOM = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than allowed (by `ulimit -f`, or by a quota)",
    errno.EROFS: "the file system is read-only",
}
"""What keeps a file from being written through no fault of the program, by the error's number."""
DAMAGED = (RuntimeError, EOFError, OSError, zipfile.BadZipFile, LookupError, ValueError)
"""What reading a damaged or truncated file of torch.save raises."""
LARGE = 2**25  # bytes that are memory's, not a file's
UNSUPPORTED = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)
"""Errors of fsync on file systems that have none, mostly for folders."""


def roomy(shape: tuple[int, ...], folder: Path | None = None) -> np.ndarray:
    """Room for numbers, float64; where they are many in a nameless file, so that they need no memory.

    folder: of that file. Raises OSError where it does not fit.
    """
    size = 8 * math.prod(shape)
    if size <= LARGE:
        return np.empty(shape)
    with tempfile.TemporaryFile(dir=folder) as file:
        if hasattr(
            os, "posix_fallocate"
        ):  # else a full disk is met when it is written to, and ends the process
            os.posix_fallocate(file.fileno(), 0, size)
        return np.memmap(file, np.float64, "w+", shape=shape)


def write_atomically(path: Path, contents: str | bytes) -> None:
    """Write a file under a temporary name beside its place, then put it there, on the disk both times.

    After a power cut the file is the old one or the new one. Raises OSError with the file's name.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    data = contents.encode() if isinstance(contents, str) else contents
    with named(path):
        try:
            temporary.write_bytes(data)
            sync(temporary)
            temporary.replace(path)
            sync(path.parent)
        finally:
            with suppress(OSError):  # of a full disk or the like, which is raised already
                temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file's contents, or the names in a folder, are on the disk. Raises OSError."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    finally:
        os.close(number)


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Give an OSError the name of the file it is about; Python gives none where the write itself fails."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise


def no_room(error: BaseException) -> bool:
    """Whether an error says that a file could not be written for want of room or permission to grow."""
    return isinstance(error, OSError) and (error.errno in NO_ROOM or _cut_short(error))


def reason(error: OSError) -> str:
    """Why something could not be written, in words without a full stop."""
    if _cut_short(error):
        return "not all of it could be written: the disk or a quota is full, or the file too large"
    return NO_ROOM.get(error.errno or 0) or error.strerror or str(error)


def cannot_write(error: OSError) -> str:
    """What could not be written, why, and what to do."""
    what = error.filename or "standard output"
    return f"Cannot write {what}: {reason(error)}. Make room there, or write to another place."


def _cut_short(error: OSError) -> bool:
    """NumPy's own error: `1000 requested and 360 written`."""
    return error.errno is None and str(error).endswith(" written")


def remove_leftovers(folder: Path, *names: str) -> list[str]:
    """Remove the temporary `.NAME.PROCESS` that interrupted writes left in a folder; returns what there was.

    names: globs of the files and folders that were to be written. What belongs to a process that still runs
    on this machine stays; no process of another machine may be writing there.
    """
    left = [
        path
        for name in names
        for path in sorted(folder.glob(f".{name}.*"))
        if path.suffix[1:].isdecimal() and _ended(int(path.suffix[1:]))
    ]
    for path in left:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return [path.name for path in left]


def _ended(process: int) -> bool:
    """Whether no process of this number runs; this one, which writes nothing when it asks, does not count."""
    if process == os.getpid():
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):  # it is another user's, or no process has such a number
        return False
    return False


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
            f"Cannot write to {folder}: {reason(error)}. Give another folder by hydra.run.dir=DIR."
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


def check_whole(path: Path) -> None:
    """Raise BadZipFile unless torch.save or torch.jit.save wrote the file and its checksums hold.

    Torch does not ask for them.
    """
    with zipfile.ZipFile(path) as archive:
        if archive.testzip() is not None:
            raise zipfile.BadZipFile("a checksum is wrong")


def read_object(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object; empty where there is none or the file is damaged."""
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return written if isinstance(written, dict) else {}


def null_for_nan(values: Mapping[str, float]) -> dict[str, float | None]:
    """NaN and infinities, which JSON does not have, become None."""
    return {key: value if math.isfinite(value) else None for key, value in values.items()}
