"""Reads shape, dtype and rows of an array on disk without unpickling anything."""

import io
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from spinpot.core.errors import InputError
from spinpot.core.files import refuse_placeholder

FIRST_BYTES = 256  # numpy.save's header is within these first bytes of a file
OPEN_FILES = 200  # most recently used files that stay open


@dataclass(frozen=True, slots=True)
class ArrayHeader:
    """One stored array: its place (for messages), shape, dtype, and read(start, stop), which reads rows."""

    where: str
    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[int, int], np.ndarray] = field(repr=False)

    @classmethod
    def of(cls, where: str, array: np.ndarray) -> Self:
        """The header of an array in memory."""
        rows = np.atleast_1d(array)
        return cls(where, array.shape, array.dtype, partial(_part, rows))

    def __reduce__(self) -> tuple[Any, ...]:  # three times faster than the dataclass's
        return ArrayHeader, (self.where, self.shape, self.dtype, self.read)


def _part(rows: np.ndarray, start: int, stop: int) -> np.ndarray:
    return rows[start:stop]


class Layout(NamedTuple):
    """Offset of the numbers in a file, their dtype and shape."""

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype
    by_columns: bool = False


class Version(NamedTuple):
    """Identifies a file at the time its header was read, so that a changed file is noticed.

    number, time: 0 in another process, which may run on a machine that numbers files differently.
    """

    size: int
    number: int = 0
    time: int = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return Version, (self.size,)


def npy_header(file: str) -> ArrayHeader:
    """The header of a .npy file.

    Raises InputError if it is not a NumPy array, is truncated, or holds pickled Python objects.
    """
    try:
        version, layout = _looked_at(file)
        if layout.by_columns or not layout.shape:
            return ArrayHeader.of(file, np.load(file, mmap_mode="r"))
    except (ValueError, OSError, SyntaxError) as error:
        refuse_placeholder(Path(file))
        raise InputError(
            f"{file}: truncated, or not an array of numbers ({error}). Expected a file of numpy.save; "
            "pickled Python objects are never loaded. Copy the file again, or write it with a numeric dtype "
            "(all frames of one length)."
        ) from error
    return ArrayHeader(file, layout.shape, layout.dtype, partial(rows_at, file, version, layout))


def rows_at(file: str, version: Version, layout: Layout, start: int, stop: int) -> np.ndarray:
    """Rows of an array stored in C order. Raises OSError if the file has changed or ends too early."""
    row = layout.dtype.itemsize * math.prod(layout.shape[1:])
    contents = _opened(file, version).at(layout.offset + start * row, (stop - start) * row)
    return np.frombuffer(contents, layout.dtype).reshape(stop - start, *layout.shape[1:])


def version_of(status: os.stat_result) -> Version:
    """The version of a file with this status."""
    return Version(status.st_size, status.st_ino, status.st_mtime_ns)


def _looked_at(path: str) -> tuple[Version, Layout]:
    file = os.open(path, os.O_RDONLY)
    try:
        version, first = version_of(os.fstat(file)), os.read(file, FIRST_BYTES)
        size = 2 if first[6:7] == b"\x01" else 4  # bytes of the field that holds the header's length
        length = 8 + size + int.from_bytes(first[8 : 8 + size], "little")
        missing = length - FIRST_BYTES
        layout, end = _layout(first[:length] + (os.read(file, missing) if missing > 0 else b""))
    finally:
        os.close(file)
    if version.size < end:
        raise ValueError(f"{version.size} bytes, where its header promises {end}")
    return version, layout


@lru_cache  # most files of a data set have the same header
def _layout(header: bytes) -> tuple[Layout, int]:
    """The layout that a header describes, and the offset of the numbers' end."""
    file = io.BytesIO(header)
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f"expected a version of the format from (1, 0) to (3, 0), not {version}")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_columns, dtype = read(file)
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    layout = Layout(file.tell(), shape, dtype, by_columns and len(shape) > 1)
    return layout, layout.offset + dtype.itemsize * math.prod(shape)


class _OpenFile:
    """An open file, which is closed when its last reference is gone."""

    def __init__(self, file: str, version: Version) -> None:
        self.number = os.open(file, os.O_RDONLY)
        found = version_of(os.fstat(self.number))
        if version not in (found, Version(found.size)):
            raise OSError("it has changed since it was first opened")

    def __del__(self) -> None:
        if hasattr(self, "number"):
            os.close(self.number)

    def at(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset` on. Raises OSError for a truncated file; mapped memory would crash."""
        contents = b""
        while len(contents) < size:  # one system call reads at most 2 GB
            more = os.pread(self.number, size - len(contents), offset + len(contents))
            if not more:
                raise OSError(f"it ends {size - len(contents)} bytes too early")
            contents = contents + more if contents else more
        return contents


_opened = lru_cache(OPEN_FILES)(_OpenFile)
