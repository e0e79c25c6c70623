"""Shape and type of an array on disk, without loading it and without unpickling anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from spinpot.core.errors import InputError
from spinpot.core.files import refuse_placeholder


@dataclass(frozen=True)
class ArrayHeader:
    """One stored array: its place in words, shape and dtype, and what reads it."""

    where: str
    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[], np.ndarray] = field(repr=False)

    @classmethod
    def of(cls, where: str, array: np.ndarray) -> ArrayHeader:
        """That of an array in memory."""
        return cls(where, array.shape, array.dtype, lambda: array)


def npy_header(file: Path) -> ArrayHeader:
    """Header of a `.npy` file.

    Raises InputError if the file is no NumPy array, is cut short, or holds pickled Python objects.
    """
    refuse_placeholder(file)
    try:
        with file.open("rb") as stream:
            if stream.read(6) != b"\x93NUMPY":
                raise InputError(
                    f"{file}: not a NumPy .npy file (it may be a pickle, which is never loaded). Expected an "
                    "array written by numpy.save: write the file again."
                )
            stream.seek(0)
            shape, dtype = _parse_header(stream)
            expected = stream.tell() + int(np.prod(shape, dtype=object)) * dtype.itemsize
    except (ValueError, OSError, SyntaxError) as error:
        raise InputError(f"{file}: damaged NumPy header ({error}). Copy or write the file again.") from error
    if dtype.hasobject:
        raise InputError(
            f"{file}: holds pickled Python objects, which are never loaded. Expected numbers: save the "
            "array again with a numeric dtype (all frames of one length)."
        )
    size = file.stat().st_size
    if size < expected:
        raise InputError(
            f"{file}: truncated: {size} bytes, where its header promises {expected}. Copy the file again."
        )
    return ArrayHeader(str(file), shape, dtype, partial(np.load, file, allow_pickle=False))


def check_written(folder: Path) -> None:
    """Raise OSError if an array below a folder is cut short: on a full disk NumPy does so in silence."""
    for file in sorted(folder.rglob("*.npy")):
        try:
            npy_header(file)
        except InputError as error:
            raise OSError(f"{file}: only a part was written") from error


def _parse_header(stream: BinaryIO) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"format version {version[0]}.{version[1]}, expected 1.0 or 2.0")
    read = getattr(np.lib.format, f"read_array_header_{version[0]}_0")
    shape, _, dtype = read(stream)
    return shape, dtype
