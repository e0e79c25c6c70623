"""Systems as a torch Dataset of frames, and what is counted of their neighbours."""

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
"""Frames of a batch, where its size is of no consequence."""


@dataclass(frozen=True)
class Neighbours:
    """What is counted of the neighbours in F frames.

    most: (F, 2T), the most neighbours of each type within the cutoff around an atom of each frame. closest:
    (T,), Å, as in Batch. n_pairs: of all frames. origin: as in Batch.
    """

    most: np.ndarray
    closest: np.ndarray
    n_pairs: int
    origin: Sequence[tuple[str, int]]

    @classmethod
    def of(cls, given: Iterable[Batch], geometry: Geometry) -> Neighbours:
        """Those of batches, which are not kept. geometry: whose pairs they have."""
        most, closest, n_pairs, origin = [], [], 0, list[tuple[str, int]]()
        for batch in given:
            most.append(_most(batch, geometry).numpy())
            closest.append(batch.closest)
            n_pairs += len(batch.pair_type)
            origin += batch.origin
        return cls(np.concatenate(most), np.min(closest, axis=0), n_pairs, origin)

    @property
    def most_of_elements(self) -> np.ndarray:
        """The most neighbours of each element, real or virtual, around any atom, (T,)."""
        most: np.ndarray = self.most.max(axis=0).reshape(2, -1).max(axis=0)
        return most


def _most(batch: Batch, geometry: Geometry) -> Tensor:
    """The most neighbours of each type within the cutoff around an atom of each frame, (F, 2T)."""
    counts = batch.neighbour_counts
    if geometry.any_direction:  # there are pairs beyond the cutoff, too
        within = batch.pair_vector.square().sum(dim=-1) < geometry.cutoff**2
        place = (batch.pair_centre * counts.shape[1] + batch.pair_type)[within]
        counts = place.bincount(minlength=counts.numel()).view_as(counts)
    frame = batch.frame.unsqueeze(-1).expand_as(counts)
    return counts.new_zeros(batch.n_frames, counts.shape[1]).scatter_reduce_(0, frame, counts, "amax")


class FrameDataset(Dataset[Frame | None]):
    """The frames of some systems, in their order. geometry: the pairs of the batches that are made here.

    Frames that are read from disk only now are checked; `broken` says what becomes of broken ones. A frame
    that is left out is None. If its model is known, the first batch whose neighbours differ from those that
    settled it is named.
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
        with suppress(InputError):  # said by what follows
            frame = make_frame(system, number)
            if self.broken.looks_usable(system, frame):
                return frame
        return make_frame(system, number) if self.broken.usable(system, number) else None

    def place(self, index: int) -> tuple[System, int]:
        """The system of a frame, and its number there."""
        index = range(len(self))[index]
        system = self.systems[bisect_right(self.ends, index)]
        return system, index - self.ends[bisect_right(self.ends, index)] + len(system)

    def __iter__(self) -> Iterator[Frame | None]:
        return (self[index] for index in range(len(self)))

    def batch(self, numbers: Iterable[int]) -> Batch:
        """Of some frames."""
        return self.collate([self[number] for number in numbers])

    def batches(self, batch_size: int = AT_ONCE) -> Iterator[Batch]:
        """Of all frames, in their order."""
        remaining = iter(self)
        while chunk := list(islice(remaining, batch_size)):
            yield self.collate(chunk)

    def collate(self, frames: Sequence[Frame | None], geometry: Geometry | None = None) -> Batch:
        """The batch of some frames, maybe changed ones, without those left out; maybe with other pairs."""
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
        """With what settled the model. Without more or closer neighbours than before there is nothing new."""
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
        """Counted on first use, in one pass over all frames."""
        stream = counted(self.batches(), "Neighbours", -(-len(self) // AT_ONCE))
        return Neighbours.of(stream, self.geometry)


def make_frames(systems: Iterable[System]) -> Iterator[Frame]:
    """The frames of some systems, in their order."""
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
    """The label of a frame, NaN where there is none."""
    return np.full(shape, np.nan) if values is None else np.asarray(values[frame], dtype=np.float64)
