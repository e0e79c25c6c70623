"""Finds duplicate frames within a system and between systems, and compares their labels."""

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

SAME = 1e-4  # Å and μ_B: frames are duplicates if no coordinate differs by more
REACH = 10 * SAME
"""Largest difference of a coordinate of _points: it sums the noise of two atoms and of the cell."""
SIEVE = 12  # number of coordinates that preselect candidate duplicates
FEW = 64  # groups of at most this many frames are not divided further
SAMPLE = 200  # evenly spaced frames, used to find the coordinates that vary most
SAME_LABEL = {"energy": 1e-5, "force": 0.01, "force_mag": 0.01, "virial": 1e-3}
"""Largest difference between the labels of duplicates: eV/atom, eV/Å, eV/μ_B, eV/atom."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A frame that duplicates an earlier, kept one. Systems are given by their index in the list."""

    system: int
    frame: int
    kept_system: int
    kept_frame: int


@dataclass(frozen=True)
class Duplicates:
    """Duplicate frames of `first` and `second` (possibly the same system), as pairs of frame numbers.

    apart: for each label of both systems, the largest difference between duplicates; energy and virial per
    atom.
    """

    first: str
    second: str
    frames: list[tuple[int, int]]
    apart: dict[str, float]

    @property
    def of_second(self) -> int:
        """Number of frames of `second` that are also in `first`."""
        return len({frame for _, frame in self.frames})

    @property
    def contradicting(self) -> dict[str, float]:
        """The differences in `apart` that are larger than numerical noise."""
        return {name: value for name, value in self.apart.items() if value > SAME_LABEL[name]}


def duplicates(systems: Sequence[System]) -> list[Duplicates]:
    """All duplicates, grouped by the system of the kept frame and the system of its copies."""
    return [
        Duplicates(first.name, second.name, frames, {k: float(v.max()) for k, v in differences.items()})
        for first, second, frames, differences in _by_systems(systems, copies(systems))
    ]


def copies(systems: Sequence[System]) -> list[Copy]:
    """Every frame that duplicates an earlier one, in the order of systems and frames.

    Two frames are duplicates if their atoms, in stored order, have the same elements, and their cells,
    moments and positions differ by at most SAME, up to lattice vectors and a shift of all atoms. Frames are
    compared only with kept frames, not with copies, so that a slow trajectory keeps frames that are apart.
    """
    groups: dict[tuple[object, ...], list[int]] = {}
    for place, system in enumerate(systems):
        groups.setdefault((system.pbc, *system.elements), []).append(place)
    found = [copy for places in groups.values() for copy in _among(systems, places)]
    return sorted(found, key=lambda copy: (copy.system, copy.frame))


def without(systems: Sequence[System], found: Iterable[Copy]) -> list[System]:
    """The systems without the copies; systems with no frame left are dropped."""
    stays = [np.ones(len(system), dtype=bool) for system in systems]
    for copy in found:
        stays[copy.system][copy.frame] = False
    return [
        system if own.all() else select(system, np.flatnonzero(own))
        for system, own in zip(systems, stays, strict=True)
        if own.any()
    ]


def left_out(systems: Sequence[System], found: Sequence[Copy]) -> Notes:
    """Lines on the copies that are left out: how many, and which contradict the kept frame."""
    notes = Notes()
    for place, count in Counter(copy.system for copy in found).items():
        notes.add(
            f"{len(found)} duplicate frames left out: each equals an earlier one within {SAME:g} Å and μ_B, "
            "up to lattice vectors and a shift of all atoms",
            f"{systems[place].name}: {count}",
        )
    largest: dict[str, float] = {}
    places: list[str] = []
    for first, second, frames, differences in _by_systems(systems, found):
        if missing := [OF_LABEL[name].plural for name in second.labels if name not in first.labels]:
            line = f"look: duplicates left out have {' and '.join(missing)}, but the kept frames do not"
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
            f"look: {len(places)} duplicates left out contradict the kept frames, with {differing(largest)}"
        )
        notes.add(f"{line}; keep the frames of one calculation", where)
    return notes


def _by_systems(
    systems: Sequence[System], found: Sequence[Copy]
) -> Iterator[tuple[System, System, list[tuple[int, int]], dict[str, np.ndarray]]]:
    """For each pair of systems: kept system, copies' system, pairs of frames, differences of the labels."""
    same: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for copy in found:
        same.setdefault((copy.kept_system, copy.system), []).append((copy.kept_frame, copy.frame))
    for (a, b), frames in sorted(same.items()):
        frames.sort()
        yield systems[a], systems[b], frames, _differences(systems[a], systems[b], frames)


def _differences(first: System, second: System, frames: Sequence[tuple[int, int]]) -> dict[str, np.ndarray]:
    """Differences of each label of both systems, for each pair of frames; energy and virial per atom."""
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
    """Copies among systems that have the same elements in the same order."""
    alike = [systems[place] for place in places]
    owner = np.repeat(np.arange(len(alike)), [len(system) for system in alike])
    number = np.concatenate([np.arange(len(system)) for system in alike])
    points, kept = _sieve(alike)
    taken = kept < np.arange(len(kept))
    for k, near in counted(_candidates(alike, points, taken), "Comparing frames that look alike"):
        later = near[(near > k) & ~taken[near]]
        for other in np.unique(owner[later]):
            own = later[owner[later] == other]
            same = own[_same(alike[owner[k]], number[k], alike[other], number[own])]
            taken[same], kept[same] = True, k
    for copy in np.flatnonzero(taken):
        first = kept[kept[copy]]  # the exactly equal frame may itself be a copy of an earlier one
        yield Copy(places[owner[copy]], int(number[copy]), places[owner[first]], int(number[first]))


def _sieve(systems: Sequence[System]) -> tuple[np.ndarray, np.ndarray]:
    """Per frame, the SIEVE coordinates that vary most (n, SIEVE), and the first exactly equal frame (n,).

    A tree of all frames is slow for more coordinates, and for many equal frames.
    """
    every = np.arange(sum(map(len, systems)))
    sample = np.concatenate(list(_chunks(systems, every[:: max(1, len(every) // SAMPLE)])))
    widest = np.argsort(-sample.std(axis=0), kind="stable")[:SIEVE]
    number = sum(-(-len(system) // CHUNK) for system in systems)
    points, hashes = [], list[int]()
    for chunk in counted(_chunks(systems, every), "Duplicates", number):
        points.append(chunk[:, widest])
        hashes += [hash(row.tobytes()) for row in chunk]
    joined = np.concatenate(points)
    _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    equal = first[inverse]
    return joined, np.where((joined == joined[equal]).all(axis=1), equal, every)


def _candidates(
    systems: Sequence[System], points: np.ndarray, taken: np.ndarray
) -> Iterator[tuple[int, np.ndarray]]:
    """Each frame that may have duplicates and is not yet `taken`, in order, with its candidates."""
    compared = np.flatnonzero(~taken)
    apart = cKDTree(points[compared]).query(points[compared], 2, p=np.inf, distance_upper_bound=REACH)[0]
    alike = compared[np.isfinite(apart[:, 1])]
    if len(alike):
        # The numbers of the groups differ by more than REACH, so that only frames of one group are near.
        near = np.column_stack((points[alike], _groups(systems, alike)))
        tree = cKDTree(near)
        for k, own in zip(alike.tolist(), near, strict=True):
            if not taken[k]:
                yield k, alike[np.sort(tree.query_ball_point(own, REACH, p=np.inf))]


def _chunks(systems: Sequence[System], numbers: np.ndarray) -> Iterator[np.ndarray]:
    """_points of frames, CHUNK at a time; numbers: (n,), counted over all systems, ascending."""
    ends = np.cumsum([len(system) for system in systems])
    of_systems = np.split(numbers, np.searchsorted(numbers, ends[:-1]))
    for system, end, own in zip(systems, ends, of_systems, strict=True):
        own = own - end + len(system)
        for start in range(0, len(own), CHUNK):
            yield _points(system, own[start : start + CHUNK])


def _groups(systems: Sequence[System], numbers: np.ndarray) -> np.ndarray:
    """The group of each frame (n,), counted from 0. Between two groups, some coordinate has a gap.

    This separates frames that agree in nearly all coordinates, such as frames with one atom displaced each.
    """
    groups = np.zeros(len(numbers), dtype=np.int64)
    for values in _coordinates(systems, numbers):
        order = np.lexsort((values, groups))
        apart = (np.diff(values[order]) > REACH) | (np.diff(groups[order]) > 0)
        groups[order] = np.concatenate(([0], np.cumsum(apart)))
        if np.bincount(groups).max() <= FEW:
            break
    return groups


def _coordinates(systems: Sequence[System], numbers: np.ndarray) -> np.ndarray:
    """_points of frames by their numbers (n,), transposed: (coordinates, n)."""
    first = 0
    for chunk in _chunks(systems, numbers):
        if not first:
            found = roomy((chunk.shape[1], len(numbers)))
        found[:, first : first + len(chunk)] = chunk.T
        first += len(chunk)
    return found


def _points(system: System, frames: np.ndarray) -> np.ndarray:
    """Coordinates of frames that do not change with lattice vectors or a shift of all atoms.

    These are the cell, the moments, and the positions relative to the first atom. Along periodic directions
    a position becomes a point on a circle, one turn per lattice vector; the radius is such that an arc is
    never longer than the atom's displacement. Along other directions it is a length.
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
    """Which frames (n,) of `second` are duplicates of frame k of `first`."""
    box = second.cell[frames]
    change = second.coord[frames] - first.coord[k]
    change -= change[:, :1]
    change = nearest_image(change @ np.linalg.inv(box), second.pbc) @ box
    change -= (change.max(axis=1, keepdims=True) + change.min(axis=1, keepdims=True)) / 2
    differences = (change, second.spin[frames] - first.spin[k], box - first.cell[k])
    largest = np.max([np.abs(one).max(axis=(1, 2)) for one in differences], axis=0)
    within: np.ndarray = largest <= SAME
    return within
