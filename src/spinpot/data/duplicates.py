"""Frames that are there twice, within a system and between systems, and whether their labels agree."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from spinpot.core.console import counted
from spinpot.core.files import roomy
from spinpot.core.notes import Notes
from spinpot.core.quantities import OF_LABEL
from spinpot.data.cell import nearest_image
from spinpot.data.readers.deepmd.rows import CHUNK, chunks, taken
from spinpot.data.systems import System, select

SAME = 1e-4  # Å and μ_B: frames of which no coordinate differs by more are the same
SIEVE = 12  # coordinates by which frames that may be the same are found
SIEVE_REACH = 10 * SAME
"""What a coordinate of the sieve may differ by: it takes up the noise of two atoms and of the cell."""
SAMPLE = 200  # frames, evenly spaced, that tell which coordinates vary most
CROWD = 64
"""Frames alike in the coordinates of the sieve beyond which the other coordinates are looked at too."""
SAME_LABEL = {"energy": 1e-5, "force": 0.01, "force_mag": 0.01, "virial": 1e-3}
"""What labels of the same structure may differ by: eV/atom, eV/Å, eV/μ_B, eV/atom."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A frame of `system` that is the same as an earlier one that is kept; systems by their places."""

    system: int
    frame: int
    kept_system: int
    kept_frame: int


@dataclass(frozen=True)
class Duplicates:
    """Frames of `first` and `second` (maybe the same system) that are the same, as pairs of numbers.

    apart: by label, the largest difference among them; energy and virial per atom. A label that one of the
    systems lacks is not there.
    """

    first: str
    second: str
    frames: list[tuple[int, int]]
    apart: dict[str, float]

    @property
    def of_second(self) -> int:
        """Frames of `second` that are in `first` too."""
        return len({frame for _, frame in self.frames})

    @property
    def contradicting(self) -> dict[str, float]:
        """Those of `apart` that no numerical noise explains."""
        return {name: value for name, value in self.apart.items() if value > SAME_LABEL[name]}


def duplicates(systems: Sequence[System]) -> list[Duplicates]:
    """All of them, by the systems of the frame that is kept and of its copies."""
    return [
        Duplicates(first.name, second.name, frames, {k: float(v.max()) for k, v in differences.items()})
        for first, second, frames, differences in _by_systems(systems, copies(systems))
    ]


def copies(systems: Sequence[System]) -> list[Copy]:
    """Every frame that is the same as an earlier one, in the order of systems and frames.

    The same are frames whose atoms, in the order they are stored in, are of the same elements, and whose
    cells, moments and places differ by at most SAME: but for lattice vectors, and for a shift of all atoms.
    Each frame is compared with frames that are kept, not with other copies, so that of a fine trajectory
    those that are apart stay.
    """
    groups: dict[tuple[object, ...], list[int]] = {}
    for place, system in enumerate(systems):
        groups.setdefault((system.pbc, *system.elements), []).append(place)
    found = [copy for places in groups.values() for copy in _among(systems, places)]
    return sorted(found, key=lambda copy: (copy.system, copy.frame))


def without(systems: Sequence[System], found: Iterable[Copy]) -> list[System]:
    """The systems without some copies; one without a frame left is not there."""
    stays = [np.ones(len(system), dtype=bool) for system in systems]
    for copy in found:
        stays[copy.system][copy.frame] = False
    return [
        system if own.all() else select(system, np.flatnonzero(own))
        for system, own in zip(systems, stays, strict=True)
        if own.any()
    ]


def left_out(systems: Sequence[System], found: Sequence[Copy]) -> Notes:
    """What is said where copies are left out: how many, and which contradict the frame that is kept."""
    notes = Notes()
    for place, count in Counter(copy.system for copy in found).items():
        notes.add(
            f"{len(found)} frames left out: each is the same as an earlier one to {SAME:g} Å and μ_B, but "
            "for lattice vectors and a shift of all atoms",
            f"{systems[place].name}: {count}",
        )
    largest: dict[str, float] = {}
    places: list[str] = []
    for first, second, frames, differences in _by_systems(systems, found):
        if missing := [OF_LABEL[name].plural for name in second.labels if name not in first.labels]:
            line = f"look: frames left out have {' and '.join(missing)}, those kept in their place do not"
            notes.add(line, f"{second.name}, kept: {first.name}")
        for name, values in differences.items():
            if values.max() > SAME_LABEL[name]:
                largest[name] = max(largest.get(name, 0.0), float(values.max()))
        wrong = np.any([values > SAME_LABEL[name] for name, values in differences.items()], axis=0)
        places += [
            f"{second.where(frames[k][1])}, kept: {first.where(frames[k][0])}" for k in np.flatnonzero(wrong)
        ]
    for where in places:
        line = (
            f"look: {len(places)} frames left out contradict those that are kept, with {differing(largest)}"
        )
        notes.add(f"{line}; keep the frames of one calculation", where)
    return notes


def _by_systems(
    systems: Sequence[System], found: Sequence[Copy]
) -> Iterator[tuple[System, System, list[tuple[int, int]], dict[str, np.ndarray]]]:
    """Copies by the system of the frame that is kept and their own: both, the frames, how labels differ."""
    same: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for copy in found:
        same.setdefault((copy.kept_system, copy.system), []).append((copy.kept_frame, copy.frame))
    for (a, b), frames in sorted(same.items()):
        frames.sort()
        yield systems[a], systems[b], frames, _differences(systems[a], systems[b], frames)


def _differences(first: System, second: System, frames: Sequence[tuple[int, int]]) -> dict[str, np.ndarray]:
    """How far each label of both systems differs in each pair of frames; energy and virial per atom."""
    a, b = np.array(frames).T
    found = {}
    for name in first.labels:
        if name in second.labels:
            pairs = chunks(taken(getattr(first, name), a), taken(getattr(second, name), b))
            most = [np.abs(one - other).reshape(len(one), -1).max(axis=1) for one, other in pairs]
            found[name] = np.concatenate(most) / (first.n_atoms if OF_LABEL[name].per_atom else 1)
    return found


def differing(labels: Mapping[str, float]) -> str:
    """Differences of labels in words: "energies up to 3 meV/atom and forces up to 50 meV/Å apart"."""
    named = [(OF_LABEL[name], 1000 * value) for name, value in labels.items()]
    return " and ".join(f"{own.plural} up to {value:.3g} {own.meV}" for own, value in named) + " apart"


def _among(systems: Sequence[System], places: Sequence[int]) -> Iterator[Copy]:
    """Copies among systems with the same atoms."""
    alike = [systems[place] for place in places]
    owner = np.repeat(np.arange(len(alike)), [len(system) for system in alike])
    number = np.concatenate([np.arange(len(system)) for system in alike])
    taken = np.zeros(len(owner), dtype=bool)
    for k, near in counted(_candidates(alike, taken), "Comparing frames that look alike"):
        later = near[(near > k) & ~taken[near]]
        for other in np.unique(owner[later]):
            own = later[owner[later] == other]
            same = own[_same(alike[owner[k]], number[k], alike[other], number[own])]
            taken[same] = True
            for copy in same:
                yield Copy(places[other], int(number[copy]), places[owner[k]], int(number[k]))


def _candidates(systems: Sequence[System], taken: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Frames in order, but for those that are taken by then, and which frames may be the same as each."""
    every = np.arange(len(taken))
    sample = np.concatenate(list(_chunks(systems, every[:: max(1, len(every) // SAMPLE)])))
    widest = np.argsort(-sample.std(axis=0), kind="stable")[:SIEVE]  # a tree of all coordinates is slow
    number = sum(-(-len(system) // CHUNK) for system in systems)
    shown = counted(_chunks(systems, every), "Duplicates", number)
    points = np.concatenate([chunk[:, widest] for chunk in shown])
    tree = cKDTree(points)
    counts = tree.query_ball_point(points, SIEVE_REACH, p=np.inf, return_length=True)
    crowded = np.flatnonzero(counts > CROWD)
    group = _groups(systems, crowded) if len(crowded) else {}
    for k in np.flatnonzero(counts > 1).tolist():
        if taken[k]:
            continue
        if k in group and len(group[k]) < counts[k]:
            yield k, group[k]
        else:
            yield k, np.sort(tree.query_ball_point(points[k], SIEVE_REACH, p=np.inf))


def _chunks(systems: Sequence[System], numbers: np.ndarray) -> Iterator[np.ndarray]:
    """The points of frames by their numbers over all systems (n,), ascending, CHUNK at once."""
    ends = np.cumsum([len(system) for system in systems])
    of_systems = np.split(numbers, np.searchsorted(numbers, ends[:-1]))
    for system, end, own in zip(systems, ends, of_systems, strict=True):
        own = own - end + len(system)
        for start in range(0, len(own), CHUNK):
            yield _points(system, own[start : start + CHUNK])


def _groups(systems: Sequence[System], members: np.ndarray) -> dict[int, np.ndarray]:
    """For each of the members (n,), those of its group: between groups there is a gap in some coordinate.

    This tells frames apart that are alike in nearly all coordinates, as where each has one atom moved.
    """
    groups = np.zeros(len(members), dtype=np.int64)
    for values in _coordinates(systems, members):
        order = np.lexsort((values, groups))
        apart = (np.diff(values[order]) > SIEVE_REACH) | (np.diff(groups[order]) > 0)
        groups[order] = np.concatenate(([0], np.cumsum(apart)))
    order = np.argsort(groups, kind="stable")
    parts = np.split(members[order], np.flatnonzero(np.diff(groups[order])) + 1)
    return {int(member): part for part in parts for member in part}


def _coordinates(systems: Sequence[System], members: np.ndarray) -> np.ndarray:
    """What _points gives for frames by their numbers (n,), each coordinate by itself: (coordinates, n)."""
    first = 0
    for chunk in _chunks(systems, members):
        if not first:
            found = roomy((chunk.shape[1], len(members)))
        found[:, first : first + len(chunk)] = chunk.T
        first += len(chunk)
    return found


def _points(system: System, frames: np.ndarray) -> np.ndarray:
    """Frames as points that lattice vectors and a shift of all atoms leave where they are.

    These are the cell, the moments, and the atoms' places relative to the first on circles, one turn for each
    lattice vector. Their radii make no arc longer than the way of the atom. Where nothing repeats the places
    are lengths.
    """
    cell, images = system.cell[frames], np.array(system.pbc)
    inverse = np.linalg.inv(cell)
    place = (system.coord[frames] - system.coord[frames, :1]) @ inverse
    phase = 2 * np.pi * place[..., images]
    radius = 1 / (2 * np.pi * np.linalg.norm(inverse, axis=1))[:, None, images]
    circles = (radius * np.cos(phase), radius * np.sin(phase))
    parts = (cell, system.spin[frames], *circles, place[..., ~images])
    return np.concatenate([part.reshape(len(frames), -1) for part in parts], axis=1)


def _same(first: System, k: int, second: System, frames: np.ndarray) -> np.ndarray:
    """Which frames (n,) of `second` are the same as frame k of `first`."""
    box = second.cell[frames]
    change = second.coord[frames] - first.coord[k]
    change -= change[:, :1]
    change = nearest_image(change @ np.linalg.inv(box), second.pbc) @ box
    change -= (change.max(axis=1, keepdims=True) + change.min(axis=1, keepdims=True)) / 2
    differences = (change, second.spin[frames] - first.spin[k], box - first.cell[k])
    largest = np.max([np.abs(one).max(axis=(1, 2)) for one in differences], axis=0)
    within: np.ndarray = largest <= SAME
    return within
