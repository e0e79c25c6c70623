"""Shape and type of an array on disk, without loading it and without unpickling anything."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

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
    def of(cls, where: str, array: np.ndarray) -> Self:
        """That of an array in memory."""
        return cls(where, array.shape, array.dtype, lambda: array)


def npy_header(file: Path) -> ArrayHeader:
    """Raises InputError if the file is no NumPy array, is cut short, or holds pickled Python objects."""
    refuse_placeholder(file)
    try:
        array = np.lib.format.open_memmap(file, mode="r")
    except (ValueError, OSError, SyntaxError) as error:
        raise InputError(
            f"{file}: cut short, or no array of numbers ({error}). Expected what numpy.save writes; pickled "
            "Python objects are never loaded. Copy the file again, or write it with a numeric dtype (all "
            "frames of one length)."
        ) from error
    return ArrayHeader(str(file), array.shape, array.dtype, partial(np.load, file, allow_pickle=False))


def check_written(folder: Path) -> None:
    """Raise OSError if an array below a folder is cut short: on a full disk NumPy does so in silence."""
    for file in sorted(folder.rglob("*.npy")):
        try:
            npy_header(file)
        except InputError as error:
            raise OSError(f"{file}: only a part was written") from error
