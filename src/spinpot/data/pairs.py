"""Neighbour pairs of frames: real centres, with real and virtual neighbours within the cutoff."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from vesin import NeighborList

from spinpot.core.errors import InputError
from spinpot.data.cell import completed, room
from spinpot.data.readers.deepmd.rows import Array
from spinpot.kernels import library
from spinpot.kernels.pairs import Frames, PairArrays, find_pairs

MARGIN = 1e-9  # Å; keeps atoms exactly at the cutoff despite rounding; the switching function is zero there
OVERLAP = 0.1  # Å; two atoms closer than this are one atom written twice, or a wrong unit
SMALLEST_REACH, LARGEST_REACH = 1.0, 4.0
"""Å. vesin divides a frame into boxes as wide as the search radius; far more boxes than atoms are slow."""
AT_ONCE = 50_000  # atoms per search


def neighbours(
    cutoff: float,
    coord: np.ndarray,
    box: np.ndarray,
    pbc: Sequence[bool],
    quantities: str,
    **options: Any,
) -> tuple[np.ndarray, ...]:
    """Neighbour list of vesin within a cutoff (Å); the atoms' positions are not wrapped.

    quantities, options: as in vesin; i and j are returned as int64.
    """
    search = NeighborList(cutoff=cutoff, **({"full_list": True} | options))
    periodic = np.array(pbc, dtype=bool)
    # The stored non-periodic vectors have no meaning.
    bare = np.where(periodic[:, None], box, 0.0)
    moves = np.zeros_like(coord) if periodic.all() else _moves_together(coord, bare, pbc, 2.0 * cutoff)
    points = coord - moves @ completed(bare, pbc)
    found = search.compute(points=points, box=bare, periodic=periodic, quantities=quantities)
    named = {
        name: values.astype(np.int64) if name in "ij" else values
        for name, values in zip(quantities, found, strict=True)
    }
    if "S" in named:
        moves = np.where(periodic, moves, 0.0)
        named["S"] = named["S"] + moves[named["i"]] - moves[named["j"]]
    return tuple(named.values())


def _moves_together(coord: np.ndarray, box: np.ndarray, pbc: Sequence[bool], gap: float) -> np.ndarray:
    """Displacements (N, 3), in units of the completed cell, that bring the atoms close to each other.

    Along periodic directions atoms are wrapped into the cell. Along the others, gaps wider than `gap` (Å) are
    narrowed to that width; pairs closer than that do not change. This is needed because vesin fills the
    space between the atoms with boxes: atoms far apart make it slow, or crash the process.
    """
    place = coord @ np.linalg.inv(completed(box, pbc))
    moves: np.ndarray = np.floor(place)
    for k in np.flatnonzero(~np.array(pbc, dtype=bool)):
        order = np.argsort(place[:, k])
        moves[order[:1], k] = 0.0
        moves[order[1:], k] = np.cumsum(np.maximum(np.diff(place[order, k]) - gap, 0.0))
    return moves


def pairs_by_vesin(frames: Frames, threads: int = 1) -> PairArrays:
    """Like kernels.pairs.find_pairs, but without the compiled kernels."""
    cutoff, types, coord, displacement = frames.cutoff, frames.types, frames.coord, frames.displacement
    candidates = [(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros((0, 3)))]
    first = 0
    for number, cell, periodic in zip(frames.n_atoms, frames.box, frames.pbc, strict=True):
        atoms = slice(first, first + number)
        # A virtual atom within the cutoff belongs to a real atom within the cutoff plus its displacement.
        reach = cutoff + float(np.linalg.norm(displacement[atoms], axis=1).max(initial=0.0)) + MARGIN
        reach = max(reach, _least_reach(cell, coord[atoms], periodic.tolist()))
        i, j, vector = neighbours(reach, coord[atoms], cell, periodic, "ijD", n_threads=threads)
        candidates.append((i + first, j + first, vector))
        first += number
    i, j, vector = (np.concatenate(part) for part in zip(*candidates, strict=True))

    own, n_types = np.arange(len(types)), len(frames.seen)
    centre, neighbour = np.concatenate((i, i, own)), np.concatenate((j, j, own))
    virtual = np.arange(len(centre)) >= len(i)
    kind = types[neighbour] + n_types * virtual
    to_real = np.concatenate((vector, vector, np.zeros((len(own), 3))))
    shift = displacement[neighbour] * virtual[:, None]
    if frames.any_direction:
        within = _square(to_real) < (cutoff + (_length(shift) + MARGIN) * virtual) ** 2
    else:
        within = _square(to_real + shift) < cutoff * cutoff
    kept = np.flatnonzero(within & frames.seen[types[centre], kind])
    kept = kept[np.argsort(centre[kept], kind="stable")]
    centre, kind, to_real, shift = centre[kept], kind[kept], to_real[kept], shift[kept]
    counts = np.bincount(centre * 2 * n_types + kind, minlength=len(types) * 2 * n_types)
    counts = counts.reshape(len(types), 2 * n_types)
    distance = _length(to_real + shift)
    if frames.any_direction:
        distance = np.abs(_length(to_real) - _length(shift))
    closest = np.full(n_types, np.inf)
    np.minimum.at(closest, types[centre], distance)
    start = np.concatenate(([0], np.cumsum(counts.sum(axis=1))))
    return PairArrays(start, neighbour[kept], kind, to_real + shift, counts, closest)


def _least_reach(box: np.ndarray, coord: np.ndarray, pbc: Sequence[bool]) -> float:
    """The search radius (Å) at which vesin's boxes hold about one atom each."""
    if not len(coord):
        return SMALLEST_REACH
    return float(np.clip(np.cbrt(room(box, coord, pbc) / len(coord)), SMALLEST_REACH, LARGEST_REACH))


def _square(vector: np.ndarray) -> np.ndarray:
    return np.asarray(np.einsum("pc,pc->p", vector, vector))


def _length(vector: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt(_square(vector)))


def refuse_overlaps(
    box: Array,
    coord: Array,
    pbc: Sequence[bool],
    elements: Sequence[str],
    where: Callable[[int], str],
) -> None:
    """Raise InputError for overlapping atoms, naming file, frame and atoms.

    box: (F, 3, 3), Å. coord: (F, N, 3), Å. where: returns the file and frame number of a frame.
    """
    frame, i, j, distance = close_pairs(box, coord, pbc, OVERLAP)
    if len(frame):
        first = np.flatnonzero(frame == frame[0])
        pair = first[distance[first].argmin()]
        raise overlapping(where(int(frame[0])), int(i[pair]), int(j[pair]), elements, float(distance[pair]))


def close_pairs(box: Array, coord: Array, pbc: Sequence[bool], least: float) -> tuple[np.ndarray, ...]:
    """All pairs of atoms less than `least` Å apart: frame, i, j (i ≤ j) and distance, (P,) each, by frame.

    box: (F, 3, 3); coord: (F, N, 3). An atom and its own image are a pair too.
    """
    find, n_atoms = find_pairs if library() else pairs_by_vesin, coord.shape[1]
    step = max(1, AT_ONCE // max(1, n_atoms))
    parts = []
    for begin in range(0, max(1, len(coord)), step):
        cells, points = box[begin : begin + step], coord[begin : begin + step]
        own = np.arange(len(points) * n_atoms)
        frames = Frames(
            least,
            n_atoms=np.full(len(points), n_atoms),
            types=np.zeros_like(own),
            coord=points.reshape(-1, 3),
            box=cells,
            pbc=np.tile(pbc, (len(points), 1)),
            displacement=np.zeros((len(own), 3)),
            seen=np.array([[True, False]]),
        )
        found = find(frames)
        i, j = np.repeat(own, np.diff(found.start)), found.neighbour
        pairs = (begin + i // n_atoms, i % n_atoms, j % n_atoms, _length(found.vector))
        parts.append(tuple(values[i <= j] for values in pairs))
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def overlapping(place: str, i: int, j: int, elements: Sequence[str], distance: float) -> InputError:
    """The error for atoms i and j that are too close; distance: Å."""
    i, j = sorted((i, j))
    return InputError(
        f"{place}: atoms {i} ({elements[i]}) and {j} ({elements[j]}) are {distance:.3g} Å apart. Expected "
        f"at least {OVERLAP} Å between atoms. Look for an atom written twice, fractional coordinates, or a "
        "wrong cell."
    )
