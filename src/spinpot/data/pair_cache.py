"""Neighbour pairs of many frames: kept in memory while they fit, then in a file, or else found anew."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import IO

import numpy as np

from spinpot.data.pairs import Pairs

GIGABYTE = 1e9
LEFT_FREE = 0.2 * GIGABYTE
"""Of the disk of temporary files, which may be that of the run folder and its checkpoints."""


@dataclass(frozen=True)
class KeptPairs:
    """Pairs sorted by their centres: vector (P, 3) float64, neighbour (P,) int32, its type (P,) int16."""

    vector: np.ndarray
    neighbour: np.ndarray
    neighbour_type: np.ndarray

    @classmethod
    def of(cls, pairs: Pairs) -> KeptPairs:
        """What is kept of pairs."""
        return cls(
            np.ascontiguousarray(pairs.vector),
            pairs.neighbour.astype(np.int32),
            pairs.neighbour_type.astype(np.int16),
        )

    @property
    def nbytes(self) -> int:
        """30 for each pair."""
        return self.vector.nbytes + self.neighbour.nbytes + self.neighbour_type.nbytes

    def write(self, file: IO[bytes]) -> None:
        """Append the three arrays."""
        for array in (self.vector, self.neighbour, self.neighbour_type):
            file.write(array.tobytes())

    @classmethod
    def read(cls, values: np.ndarray, offset: int, n_pairs: int) -> KeptPairs:
        """The arrays that were written at an offset of a file, seen as bytes."""
        ends = offset + np.cumsum([0, 24 * n_pairs, 4 * n_pairs, 2 * n_pairs])
        vector, neighbour, kind = (values[a:b] for a, b in pairwise(ends))
        return cls(
            vector.view(np.float64).reshape(-1, 3),
            neighbour.view(np.int32),
            kind.view(np.int16),
        )


class PairCache:
    """Pairs by the numbers under which they were added.

    memory_gb, disk_gb: how much may be kept in memory, and beyond that in a temporary file, which the
        system's own cache reads ahead; what exceeds both, or cannot be written, is found again each time.
    """

    def __init__(self, memory_gb: float, disk_gb: float) -> None:
        self.room = {"memory": memory_gb * GIGABYTE, "disk": disk_gb * GIGABYTE}
        self.kept: list[KeptPairs | tuple[int, int] | Callable[[], KeptPairs]] = []
        self.bytes = {"memory": 0, "disk": 0, "rebuilt": 0}
        self._file: IO[bytes] | None = None
        self._mapped: np.ndarray | None = None

    def add(self, pairs: KeptPairs, again: Callable[[], KeptPairs]) -> int:
        """Keep pairs where there is room, else the function that finds them `again`; returns their number."""
        size = -(-pairs.nbytes // 8) * 8
        place = next((p for p in ("memory", "disk") if self.bytes[p] + size <= self.room[p]), "rebuilt")
        offset = self.bytes["disk"]
        if place == "disk" and not self._write(pairs, offset, size):
            place = "rebuilt"
        if place == "memory":
            self.kept.append(pairs)
        elif place == "disk":
            self.kept.append((offset, len(pairs.neighbour)))
        else:
            self.kept.append(again)
        self.bytes[place] += size
        return len(self.kept) - 1

    def __getitem__(self, number: int) -> KeptPairs:
        kept = self.kept[number]
        if isinstance(kept, KeptPairs):
            return kept
        if isinstance(kept, tuple):
            return KeptPairs.read(self._bytes_on_disk(), *kept)
        return kept()

    def _write(self, pairs: KeptPairs, offset: int, size: int) -> bool:
        """Append the pairs to the file, at a multiple of 8; False, with a warning, where there is no room.

        Then the file takes no more, and what was written of them is taken away.
        """
        try:
            if self._file is None:
                # It has no name, so that it is gone with the process, however that ends; and no buffer, so
                # that a full disk is found here.
                self._file = tempfile.TemporaryFile(prefix="spinpot-pairs-", buffering=0)  # noqa: SIM115
            if shutil.disk_usage(tempfile.gettempdir()).free < size + LEFT_FREE:
                raise OSError(errno.ENOSPC, f"less than {LEFT_FREE / GIGABYTE} GB would be left free")
            pairs.write(self._file)
            self._file.write(bytes(size - pairs.nbytes))
            if self._file.tell() < offset + size:  # the last write on a full disk may be cut short in silence
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self.room["disk"] = offset
            if self._file is not None:
                self._file.truncate(offset)
            folder = tempfile.tempdir or "the system's temporary folder"
            warnings.warn(
                f"Neighbour pairs could not be written to a temporary file in {folder}: "
                f"{error.strerror or error}. They are found anew for each batch, which is slower. Make room "
                "there, let TMPDIR name another folder, raise data.cache_gb (memory), or lower "
                "data.cache_disk_gb to what there is.",
                stacklevel=3,
            )
            return False
        self._mapped = None
        return True

    def _bytes_on_disk(self) -> np.ndarray:
        if self._mapped is None:
            assert self._file is not None
            # Copy on write: torch, which makes tensors of some, wants arrays that it might write to.
            self._mapped = np.memmap(self._file, dtype=np.uint8, mode="c")
        return self._mapped
