"""Systems as a torch Dataset of frames whose pairs are found once and kept."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from torch.utils.data import Dataset

from spinpot.core.console import counted
from spinpot.data.batch import Frame
from spinpot.data.pair_cache import KeptPairs, PairCache
from spinpot.data.pairs import MARGIN, Pairs, neighbours, pairs_within
from spinpot.data.systems import System


@dataclass(frozen=True)
class Geometry:
    """What of the model decides which pairs there are: cutoff (Å), and use_spin and η (Å/μ_B) per element.

    excluded: pairs of types that do not see each other. any_direction: whether virtual atoms that would be
    within the cutoff if their spins pointed elsewhere are neighbours too, for spins that will be turned.
    """

    cutoff: float
    use_spin: tuple[bool, ...]
    virtual_scale: tuple[float, ...]
    excluded: Sequence[Sequence[int]] = ()
    any_direction: bool = False

    @classmethod
    def of_real_atoms(cls, cutoff: float, n_types: int, excluded: Sequence[Sequence[int]] = ()) -> Geometry:
        """Pairs of real atoms alone."""
        return cls(cutoff, (False,) * n_types, (0.0,) * n_types, excluded)

    def pairs(self, system: System, frame: int) -> Pairs:
        """The neighbour pairs of one frame."""
        displacement = self.displacement(system, frame)
        # A virtual atom within the cutoff belongs to a real atom within the cutoff plus its displacement.
        reach = self.cutoff + float(np.linalg.norm(displacement, axis=1).max(initial=0.0)) + MARGIN
        found = neighbours(reach, system.coord[frame], system.box[frame], system.pbc, "ijD")
        return self.within(system.types, displacement, *found)

    def within(
        self, types: np.ndarray, displacement: np.ndarray, i: np.ndarray, j: np.ndarray, vector: np.ndarray
    ) -> Pairs:
        """The neighbour pairs among candidates, which are as in pairs_within."""
        use_spin = np.array(self.use_spin)
        pairs = pairs_within(i, j, vector, displacement, types, use_spin, self.cutoff, self.any_direction)
        return pairs.without(self.excluded, types)

    def displacement(self, system: System, frame: int) -> np.ndarray:
        """From the atoms of a frame to their virtual atoms, η S, (N, 3), Å."""
        return np.asarray(np.array(self.virtual_scale)[system.types][:, None] * system.spin[frame])

    def found(self, system: System, frame: int, pairs: Pairs) -> Found:
        """What is kept with the pairs of one frame."""
        n_types = len(system.type_map)
        displacement = self.displacement(system, frame) if self.any_direction else None
        return Found(
            pairs.counts(system.n_atoms, n_types), pairs.closest(system.types, n_types, displacement)
        )


@dataclass(frozen=True)
class Found:
    """Of a frame: its neighbours by type (N, 2T) and the closest (T,), Å."""

    counts: np.ndarray
    closest: np.ndarray


class FrameDataset(Dataset[Frame]):
    """The frames of some systems, in their order, whose pairs are found once and kept in a cache.

    most: (F, 2T) the most neighbours of each type around an atom of each frame; closest: (T,), Å, the
    closest neighbour of the centres of each element, inf where it has none.
    """

    def __init__(self, systems: Sequence[System], geometry: Geometry, cache: PairCache | None = None) -> None:
        self.systems = list(systems)
        self.places = [(system, index) for system in self.systems for index in range(len(system))]
        self.cache = cache or PairCache(math.inf, 0.0)
        self._frames = [self._find(*place, geometry) for place in counted(self.places, "Neighbours")]
        self.most = np.array([frame.most for frame in self._frames])
        self.closest = np.min([frame.found.closest for frame in self._frames], axis=0)

    def __len__(self) -> int:
        return len(self.places)

    @property
    def most_neighbours(self) -> np.ndarray:
        """The most neighbours of each element, real or virtual, around any atom, (T,)."""
        most: np.ndarray = self.most.max(axis=0).reshape(2, -1).max(axis=0)
        return most

    @property
    def n_pairs(self) -> int:
        """Of all frames."""
        return sum(int(frame.found.counts.sum()) for frame in self._frames)

    def __getitem__(self, index: int) -> Frame:
        kept = self._frames[index]
        return make_frame(*self.places[index], self.cache[kept.number], kept.found)

    def __iter__(self) -> Iterator[Frame]:
        return (self[index] for index in range(len(self)))

    def _find(self, system: System, index: int, geometry: Geometry) -> _Kept:
        pairs = geometry.pairs(system, index)
        number = self.cache.add(KeptPairs.of(pairs), partial(_find_again, geometry, system, index))
        found = geometry.found(system, index, pairs)
        within = pairs.within(geometry.cutoff).counts(system.n_atoms, len(system.type_map))
        return _Kept(number, within.max(axis=0), found)


def _find_again(geometry: Geometry, system: System, index: int) -> KeptPairs:
    return KeptPairs.of(geometry.pairs(system, index))


@dataclass(frozen=True)
class _Kept:
    """Of a frame: its number in the cache, the most neighbours in reach (2T,), and what was found."""

    number: int
    most: np.ndarray
    found: Found


def make_frames(systems: Iterable[System], geometry: Geometry) -> Iterator[Frame]:
    """Frames with their pairs, one at a time, nothing kept."""
    for system in systems:
        for index in range(len(system)):
            yield frame_of(system, index, geometry)


def frame_of(system: System, index: int, geometry: Geometry) -> Frame:
    """One frame of a system, its pairs found for it."""
    pairs = geometry.pairs(system, index)
    return make_frame(system, index, KeptPairs.of(pairs), geometry.found(system, index, pairs))


def make_frame(system: System, index: int, pairs: KeptPairs, found: Found) -> Frame:
    """One frame of a system with its pairs."""
    n = system.n_atoms
    return Frame(
        types=system.types,
        spin=system.spin[index],
        pair_neighbour=pairs.neighbour,
        pair_type=pairs.neighbour_type,
        pair_vector=pairs.vector,
        neighbour_counts=found.counts,
        closest=found.closest,
        energy=_label(system.energy, index, ()),
        force=_label(system.force, index, (n, 3)),
        force_mag=_label(system.force_mag, index, (n, 3)),
        virial=_label(system.virial, index, (3, 3)),
        origin=(system.name, index),
    )


def _label(values: np.ndarray | None, frame: int, shape: tuple[int, ...]) -> np.ndarray:
    """The label of a frame, NaN where there is none."""
    return np.full(shape, np.nan) if values is None else np.asarray(values[frame], dtype=np.float64)
