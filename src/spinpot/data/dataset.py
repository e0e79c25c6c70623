"""Systems as a torch Dataset of frames, and statistics of their neighbours."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, islice

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from spinpot.core.console import counted, print_line
from spinpot.core.errors import InputError
from spinpot.data.batch import Batch, Frame, collate
from spinpot.data.broken import Broken, Trained
from spinpot.data.geometry import Geometry
from spinpot.data.pairs import OVERLAP, close_pairs
from spinpot.data.readers.deepmd.rows import Array
from spinpot.data.systems import System

AT_ONCE = 8
"""Frames per batch where the batch size does not matter."""


@dataclass(frozen=True)
class Neighbours:
    """Neighbour statistics of F frames.

    most: (F, 2T), the largest number of neighbours of each type within the cutoff of any atom of the frame.
    closest: (T,), Å, as in Batch. n_pairs: pairs of all frames. origin: as in Batch.
    """

    most: np.ndarray
    closest: np.ndarray
    n_pairs: int
    origin: Sequence[tuple[str, int]]

    @classmethod
    def of(cls, given: Iterable[Batch], geometry: Geometry) -> Neighbours:
        """Statistics of batches, which are not kept. geometry: the one that found their pairs."""
        most, closest, n_pairs, origin = [], [], 0, list[tuple[str, int]]()
        for batch in given:
            most.append(_most(batch, geometry).numpy())
            closest.append(batch.closest)
            n_pairs += len(batch.pair_type)
            origin += batch.origin
        return cls(np.concatenate(most), np.min(closest, axis=0), n_pairs, origin)

    @property
    def most_of_elements(self) -> np.ndarray:
        """(T,) the largest number of neighbours of each element, real or virtual, of any atom."""
        most: np.ndarray = self.most.max(axis=0).reshape(2, -1).max(axis=0)
        return most


def _most(batch: Batch, geometry: Geometry) -> Tensor:
    """(F, 2T) the largest number of neighbours of each type within the cutoff of any atom of the frame."""
    counts = batch.neighbour_counts
    if geometry.any_direction:  # then some pairs are beyond the cutoff
        within = batch.pair_vector.square().sum(dim=-1) < geometry.cutoff**2
        place = (batch.pair_centre * counts.shape[1] + batch.pair_type)[within]
        counts = place.bincount(minlength=counts.numel()).view_as(counts)
    frame = batch.frame.unsqueeze(-1).expand_as(counts)
    return counts.new_zeros(batch.n_frames, counts.shape[1]).scatter_reduce_(0, frame, counts, "amax")


class FrameDataset(Dataset[Frame | None]):
    """The frames of some systems, in order. geometry: determines the pairs of batches.

    Frames read from disk are checked when they are read, and `broken` handles the broken ones; a frame left
    out is None. If the model is known, a line names the first batch whose neighbours are unlike those that
    determined the model.
    """

    def __init__(self, systems: Sequence[System], geometry: Geometry, broken: Broken | None = None) -> None:
        self.systems = list(systems)
        self.geometry = geometry
        self.broken = Broken() if broken is None else broken
        self.in_memory = all(system.in_memory for system in self.systems)
        self.ends = list(accumulate(map(len, self.systems)))
        self._alike, self._most, self._closest = True, np.zeros(1, dtype=np.int64), np.full(1, np.inf)

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def __getitem__(self, index: int) -> Frame | None:
        system, number = self.place(index)
        if system.in_memory:
            return make_frame(system, number)
        with suppress(InputError):  # `usable` below repeats the error
            frame = make_frame(system, number)
            if self.broken.looks_usable(system, frame):
                return frame
        return make_frame(system, number) if self.broken.usable(system, number) else None

    def place(self, index: int) -> tuple[System, int]:
        """The system of a frame, and the frame's number in it."""
        index = range(len(self))[index]
        system = self.systems[bisect_right(self.ends, index)]
        return system, index - self.ends[bisect_right(self.ends, index)] + len(system)

    def __iter__(self) -> Iterator[Frame | None]:
        return (self[index] for index in range(len(self)))

    def batch(self, numbers: Iterable[int]) -> Batch:
        """The batch of some frames."""
        return self.collate([self[number] for number in numbers])

    def batches(self, batch_size: int = AT_ONCE) -> Iterator[Batch]:
        """Batches of all frames, in order."""
        remaining = iter(self)
        while chunk := list(islice(remaining, batch_size)):
            yield self.collate(chunk)

    def collate(self, frames: Sequence[Frame | None], geometry: Geometry | None = None) -> Batch:
        """The batch of some frames, without those left out (None); geometry: None for this data set's."""
        given, geometry = [frame for frame in frames if frame is not None], geometry or self.geometry
        batch = collate(given, geometry)
        if self.in_memory:
            return batch
        if min(batch.closest) < OVERLAP:
            apart = [frame for frame in given if self._usable(frame)]
            batch = batch if len(apart) == len(given) else collate(apart, geometry)
        if self._alike and batch.n_frames and self.broken.model is not None:
            self._compare(batch, geometry, self.broken.model)
        return batch

    def _compare(self, batch: Batch, geometry: Geometry, model: Trained) -> None:
        """Print a line if the batch is unlike the frames that determined the model.

        Only batches with more or closer neighbours than any batch before need to be compared.
        """
        most, closest = batch.neighbour_counts.amax(dim=0).numpy(), np.array(batch.closest)
        if (most <= self._most).all() and (closest >= self._closest).all():
            return
        self._most, self._closest = np.maximum(most, self._most), np.minimum(closest, self._closest)
        if unlike := model.unlike_training(Neighbours.of([batch], geometry)):
            print_line(f"look: {unlike}")
            self._alike = False

    def _usable(self, frame: Frame) -> bool:
        if not len(close_pairs(frame.box[None], frame.coord[None], frame.pbc, OVERLAP)[0]):
            return True
        name, number = frame.origin
        system = next(system for system in self.systems if system.name == name)
        place = number if system.numbers is None else int(np.searchsorted(system.numbers, number))
        return self.broken.usable(system, place)

    @cached_property
    def neighbours(self) -> Neighbours:
        """Neighbour statistics, computed on first use in one pass over all frames."""
        stream = counted(self.batches(), "Neighbours", -(-len(self) // AT_ONCE))
        return Neighbours.of(stream, self.geometry)


def make_frames(systems: Iterable[System]) -> Iterator[Frame]:
    """The frames of some systems, in order."""
    return (make_frame(system, index) for system in systems for index in range(len(system)))


def make_frame(system: System, index: int) -> Frame:
    """One frame of a system."""
    n = system.n_atoms
    return Frame(
        types=system.types,
        box=system.box[index],
        pbc=system.pbc,
        coord=system.coord[index],
        spin=system.spin[index],
        energy=_label(system.energy, index, ()),
        force=_label(system.force, index, (n, 3)),
        force_mag=_label(system.force_mag, index, (n, 3)),
        virial=_label(system.virial, index, (3, 3)),
        origin=(system.name, system.number(index)),
    )


def _label(values: Array | None, frame: int, shape: tuple[int, ...]) -> np.ndarray:
    """The label of a frame; NaN if it is missing."""
    return np.full(shape, np.nan) if values is None else np.asarray(values[frame], dtype=np.float64)
