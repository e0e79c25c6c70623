"""Writes files atomically, and locks folders against other processes."""

import errno
import json
import math
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from spinpot.core.console import print_line
from spinpot.core.errors import InputError

LFS_POINTER = b"version https://git-lfs"
"""First bytes of a Git LFS pointer, the placeholder of a file that has not been fetched."""

NO_ROOM = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than allowed (by `ulimit -f`, or by a quota)",
    errno.EROFS: "the file system is read-only",
}
"""{errno: reason} why a file cannot be written for reasons outside the program."""
DAMAGED = (RuntimeError, EOFError, OSError, zipfile.BadZipFile, LookupError, ValueError)
"""Errors that torch.load raises for a damaged or truncated file."""
LARGE = 2**25  # bytes; larger arrays go to a file instead of memory
UNSUPPORTED = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)
"""Errors of fsync on file systems that do not support it, mostly for folders."""


def roomy(shape: tuple[int, ...], folder: Path | None = None) -> np.ndarray:
    """An empty float64 array; a large one is in an unnamed temporary file, so that it needs no memory.

    folder: where the file is. Raises OSError if there is not enough space.
    """
    size = 8 * math.prod(shape)
    if size <= LARGE:
        return np.empty(shape)
    with tempfile.TemporaryFile(dir=folder) as file:
        if hasattr(os, "posix_fallocate"):  # reserves the space; a full disk would later crash the process
            os.posix_fallocate(file.fileno(), 0, size)
        return np.memmap(file, np.float64, "w+", shape=shape)


def write_atomically(path: Path, contents: str | bytes) -> None:
    """Write a temporary file beside the target, sync it to disk, then rename it and sync the folder.

    After a power cut the file is either the old or the new one. Raises OSError with the file's name.
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
            with suppress(OSError):  # the original error, such as a full disk, is raised already
                temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file's contents, or a folder's entries, are on the disk. Raises OSError."""
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
    """Add the file's name to an OSError; Python's has none if the write itself fails."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise


def no_room(error: BaseException) -> bool:
    """Whether an error means that there was no space, or no permission, to write a file."""
    return isinstance(error, OSError) and (error.errno in NO_ROOM or _cut_short(error))


def reason(error: OSError) -> str:
    """Why something could not be written, without a full stop."""
    if _cut_short(error):
        return "not all of it could be written: the disk or a quota is full, or the file too large"
    return NO_ROOM.get(error.errno or 0) or error.strerror or str(error)


def cannot_write(error: OSError) -> str:
    """A message: what could not be written, why, and what to do."""
    what = error.filename or "standard output"
    return f"Cannot write {what}: {reason(error)}. Make room there, or write to another place."


def _cut_short(error: OSError) -> bool:
    """Whether this is NumPy's error `1000 requested and 360 written`."""
    return error.errno is None and str(error).endswith(" written")


def remove_leftovers(folder: Path, *names: str) -> list[str]:
    """Remove temporary files `.NAME.PROCESS` that interrupted writes left in a folder; return their names.

    names: globs of the target files and folders. Files of processes that still run on this machine stay. No
    process on another machine may write to the folder at the same time.
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
    """Whether the process with this number has ended. This process counts as ended: it is not writing now."""
    if process == os.getpid():
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):  # another user's process, or an impossible number
        return False
    return False


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Lock a folder, so that only one process makes it, also among nodes that share the disk."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = folder.with_name(f".{folder.name}.lock")
    with FileLock(lock):
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def make_once(
    folder: Path, is_there: Callable[[Path], bool], make: Callable[[Path], object], name: str
) -> None:
    """Make the folder of a data set unless it is there, and print so. An interruption leaves nothing behind.

    is_there: whether the set is complete; raises InputError if the folder holds something else. make: makes
    the set at a given path beside the folder. name: of the set. Raises InputError if the folder cannot be
    written.
    """
    folder = Path(folder).resolve()
    try:
        if is_there(folder):
            return
        with one_at_a_time(folder):
            if is_there(folder):  # another process may have made it in the meantime
                return
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
                draft = Path(temporary) / folder.name
                make(draft)
                draft.replace(folder)
            print_line(data_set_written(name, folder))
    except OSError as error:
        raise InputError(
            f"Cannot write the data set {name} to {folder}: {reason(error)}. Make room there, or give "
            "another folder as paths.data_dir or by setting SPINPOT_DATA."
        ) from error


def data_set_written(name: str, folder: Path) -> str:
    """The line about a data set that was copied, fetched or made."""
    return f"Data set {name} written to {folder}. paths.data_dir=DIR or SPINPOT_DATA chooses another place."


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Lock a run folder during a run.

    Raises InputError if another process holds the lock, or if the folder cannot be written to.
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
                with suppress(OSError):  # a refused run leaves no folder
                    folder.rmdir()


def refuse_placeholder(path: Path) -> None:
    """Raise InputError for an empty file, and for a Git LFS pointer instead of the data."""
    with path.open("rb") as file:
        start = file.read(len(LFS_POINTER))
    if not start:
        raise InputError(f"{path}: empty file. Copy or write the file again.")
    if start == LFS_POINTER:
        raise InputError(f"{path}: a Git LFS pointer, not the data. Run `git lfs pull` in that repository.")


def check_whole(path: Path) -> None:
    """Raise BadZipFile unless torch.save or torch.jit.save wrote the file and its checksums are right.

    Torch does not verify the checksums.
    """
    with zipfile.ZipFile(path) as archive:
        if archive.testzip() is not None:
            raise zipfile.BadZipFile("a checksum is wrong")


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty if the file is missing or damaged."""
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return written if isinstance(written, dict) else {}


def null_for_nan(values: Mapping[str, float]) -> dict[str, float | None]:
    """Replace NaN and infinities, which JSON does not have, by None."""
    return {key: value if math.isfinite(value) else None for key, value in values.items()}
