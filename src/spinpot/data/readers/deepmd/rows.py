"""Arrays with a row for each frame that stay where they are stored."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from spinpot.core.errors import InputError
from spinpot.data.readers.deepmd.npy_header import ArrayHeader

CHUNK = 1000  # rows that are in memory at once where all are looked at


class Rows:
    """Rows of stored arrays, one array behind the other, read as float64 when they are asked for.

    Indexed as an array is, by one advanced index at most; where an array is expected all rows are read.
    headers: of the arrays. row: the shape of a row (…). frames: the numbers of the rows that count, in their
    order, None for all. atoms: (N,) bool, which entries along the rows' first axis count, None for all.
    Reading raises InputError for what cannot be read.
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
        """As of an array."""
        row = self.row if self.atoms is None else (int(self.atoms.sum()), *self.row[1:])
        return len(self), *row

    def take(self, frames: np.ndarray, atoms: np.ndarray | None = None) -> Rows:
        """Some rows, by their numbers, and of each some entries (bool), which are not read yet."""
        frames = frames if self.frames is None else self.frames[frames]
        return Rows(self.headers, self.row, frames, self.atoms if atoms is None else atoms)

    def __getitem__(self, key: Any) -> Any:
        key, *rest = key if isinstance(key, tuple) else (key,)
        if isinstance(key, (int, np.integer)):
            found = self._read(range(len(self))[key], 1)[0]
            return found[tuple(rest)] if rest or not self.row else found
        if isinstance(key, slice) and self.frames is None and key.step in (None, 1):
            start, stop, _ = key.indices(len(self))
            found = self._read(start, max(stop - start, 0))
        else:
            found = self._gathered(np.arange(len(self))[key])
        return found[(slice(None), *rest)] if rest else found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)

    def __iter__(self) -> Iterator[np.ndarray]:
        for start in range(0, len(self), CHUNK):
            yield from self[start : start + CHUNK]

    def _gathered(self, numbers: np.ndarray) -> np.ndarray:
        """Rows by their numbers (n,); those that follow each other are read together."""
        ids = numbers if self.frames is None else self.frames[numbers]
        begins = [0, *(np.flatnonzero(np.diff(ids) != 1) + 1).tolist(), len(ids)]
        runs = [self._stored(int(ids[a]), b - a) for a, b in pairwise(begins) if b > a]
        return np.concatenate(runs) if runs else np.zeros((0, *self.shape[1:]))

    def _read(self, start: int, count: int) -> np.ndarray:
        return self._stored(start if self.frames is None else int(self.frames[start]), count)

    def _stored(self, start: int, count: int) -> np.ndarray:
        """So many rows as they follow each other in the arrays."""
        part = bisect_right(self.ends, start)
        if count and start + count <= self.ends[part]:
            found = self._of(part, start, count)
        else:
            found = np.empty((count, *self.row))
            done = 0
            while done < count:
                part = bisect_right(self.ends, start + done)
                own = min(count - done, self.ends[part] - start - done)
                found[done : done + own] = self._of(part, start + done, own)
                done += own
        return found if self.atoms is None or not self.row else found[:, self.atoms]

    def _of(self, part: int, start: int, count: int) -> np.ndarray:
        header = self.headers[part]
        first = start - (self.ends[part] - header.shape[0])
        try:
            values = header.read(first, first + count)
            return np.array(values, dtype=np.float64).reshape(count, *self.row)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise InputError(
                f"{header.where}: cannot be read ({type(error).__name__}: {error}). Copy or write it again."
            ) from error


Array = np.ndarray | Rows
"""With a row for each frame, in memory or where it is stored."""


def chunks(length: int) -> Iterator[slice]:
    """Rows of an array, CHUNK at once."""
    return (slice(start, start + CHUNK) for start in range(0, length, CHUNK))
