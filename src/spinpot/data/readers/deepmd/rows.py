"""Arrays on disk, with one row per frame, that are read only when they are indexed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from spinpot.core.errors import InputError
from spinpot.data.readers.deepmd.npy_header import ArrayHeader

CHUNK = 1000  # rows in memory at once in a pass over all rows


class Rows:
    """Concatenated rows of stored arrays, read as float64 when they are indexed.

    Indexing works as for an array, with at most one advanced index; conversion to an array reads all rows.
    headers: of the stored arrays. row: shape of a row (…). frames: numbers of the rows to use, in order;
    None: all. atoms: (N,) bool, entries to use along the rows' first axis; None: all.
    Indexing raises InputError if rows cannot be read.
    """

    def __init__(
        self,
        headers: Sequence[ArrayHeader],
        row: tuple[int, ...],
        frames: np.ndarray | None = None,
        atoms: np.ndarray | None = None,
    ) -> None:
        self.headers = headers
        self.row = row
        self.frames = frames
        self.atoms = atoms
        self.ends = list(accumulate(header.shape[0] for header in headers))

    def __len__(self) -> int:
        return self.ends[-1] if self.frames is None else len(self.frames)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape as an array."""
        row = self.row if self.atoms is None else (int(self.atoms.sum()), *self.row[1:])
        return len(self), *row

    def take(self, frames: np.ndarray, atoms: np.ndarray | None = None) -> Rows:
        """Select rows by number, and entries of each row by mask, without reading them."""
        frames = frames if self.frames is None else self.frames[frames]
        return Rows(self.headers, self.row, frames, self.atoms if atoms is None else atoms)

    def __getitem__(self, key: Any) -> Any:
        key, *rest = key if isinstance(key, tuple) else (key,)
        if isinstance(key, (int, np.integer)):
            number = range(len(self))[key] if self.frames is None else int(self.frames[key])
            found = self._stored(bisect_right(self.ends, number), number, 1)[0]
            return found[tuple(rest)] if rest else found
        found = self._gathered(np.arange(len(self))[key])
        return found[(slice(None), *rest)] if rest else found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)

    def _gathered(self, numbers: np.ndarray) -> np.ndarray:
        """Rows by their numbers (n,); consecutive rows of a file are read together."""
        numbers = numbers if self.frames is None else self.frames[numbers]
        parts = np.searchsorted(self.ends, numbers, side="right")
        begins = np.flatnonzero((np.diff(numbers) != 1) | (np.diff(parts) != 0)) + 1
        runs = zip([0, *begins], [*begins, len(numbers)], strict=True)
        found = [self._stored(parts[a], numbers[a], b - a) for a, b in runs if b > a]
        return found[0] if len(found) == 1 else np.concatenate([np.zeros((0, *self.shape[1:])), *found])

    def _stored(self, part: int, start: int, count: int) -> np.ndarray:
        """`count` consecutive rows of stored array `part`; start: counted over all arrays."""
        header = self.headers[part]
        first = int(start) - self.ends[part] + header.shape[0]
        try:
            values = header.read(first, first + int(count))
            found = np.array(values, dtype=np.float64).reshape(count, *self.row)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise InputError(
                f"{header.where}: cannot be read ({type(error).__name__}: {error}). Copy or write it again."
            ) from error
        return found if self.atoms is None else found[:, self.atoms]


Array = np.ndarray | Rows
"""An array with one row per frame, in memory or on disk."""


def chunks(*arrays: Array) -> Iterator[tuple[np.ndarray, ...]]:
    """The rows of some arrays: CHUNK at a time if any of them is on disk, else all at once."""
    rows = len(arrays[0])
    step = CHUNK if any(isinstance(array, Rows) for array in arrays) else max(1, rows)
    return (tuple(array[k : k + step] for array in arrays) for k in range(0, rows, step))


def taken(array: Array, frames: np.ndarray) -> Array:
    """Some rows, by their numbers; rows on disk are not read yet."""
    return array.take(frames) if isinstance(array, Rows) else array[frames]
