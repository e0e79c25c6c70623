"""Neighbour pairs of a frame: real centres, real and virtual neighbours within the cutoff."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from vesin import NeighborList

from spinpot.core.errors import InputError
from spinpot.data.cell import completed, room

MARGIN = 1e-9
"""Å: keeps atoms that rounding puts at the very edge, where the switch is zero anyway."""
OVERLAP = 0.1
"""Å; two atoms closer than this are one atom written twice, or a wrong unit."""
SMALLEST_REACH, LARGEST_REACH = 1.0, 4.0
"""Å; vesin divides a frame into boxes as wide as the reach, and many more boxes than atoms are slow."""


@dataclass(frozen=True)
class Pairs:
    """P pairs of one frame of N atoms; neighbour types T…2T−1 are virtual atoms.

    centre, neighbour: (P,) int64; neighbour_type: (P,) int64; vector: (P, 3) float64, Å.
    """

    centre: np.ndarray
    neighbour: np.ndarray
    neighbour_type: np.ndarray
    vector: np.ndarray

    def without(self, excluded: Sequence[Sequence[int]], types: np.ndarray) -> Pairs:
        """The pairs but those of excluded (type, type) combinations, in either order; types: (N,)."""
        if not excluded:
            return self
        centre_type = types[self.centre]
        kept = np.ones(len(self.centre), dtype=bool)
        for a, b in excluded:
            kept &= ~((centre_type == a) & (self.neighbour_type == b))
            kept &= ~((centre_type == b) & (self.neighbour_type == a))
        return self._those(kept)

    def within(self, cutoff: float) -> Pairs:
        """The pairs closer than cutoff, Å."""
        return self._those(_within(self.vector, cutoff))

    def counts(self, n_atoms: int, n_types: int) -> np.ndarray:
        """Neighbours of each centre by type, (N, 2T)."""
        flat = np.bincount(self.centre * 2 * n_types + self.neighbour_type, minlength=n_atoms * 2 * n_types)
        return flat.reshape(n_atoms, 2 * n_types)

    def closest(self, types: np.ndarray, n_types: int, displacement: np.ndarray | None = None) -> np.ndarray:
        """Distance of the closest neighbour of the centres of each element, (T,), Å; inf without any.

        displacement: (N, 3), η S, Å, for the closest that virtual atoms come when spins turn.
        """
        distance = np.linalg.norm(self.vector, axis=1)
        if displacement is not None:
            own = displacement[self.neighbour] * (self.neighbour_type >= n_types)[:, None]
            to_real = np.linalg.norm(self.vector - own, axis=1)
            distance = np.abs(to_real - np.linalg.norm(own, axis=1))
        closest = np.full(n_types, np.inf)
        np.minimum.at(closest, types[self.centre], distance)
        return closest

    def sorted(self) -> Pairs:
        """The same in the order of the centres."""
        return self._those(np.argsort(self.centre, kind="stable"))

    def _those(self, which: np.ndarray) -> Pairs:
        return Pairs(
            self.centre[which], self.neighbour[which], self.neighbour_type[which], self.vector[which]
        )


def neighbours(
    cutoff: float,
    coord: np.ndarray,
    box: np.ndarray,
    pbc: Sequence[bool],
    quantities: str,
    **options: Any,
) -> tuple[np.ndarray, ...]:
    """What vesin finds within a cutoff (Å); atoms are taken where they are, not moved into the cell.

    quantities, options: vesin's; i and j come as int64.
    """
    search = NeighborList(cutoff=cutoff, **({"full_list": True} | options))
    periodic = np.array(pbc, dtype=bool)
    # Whatever is stored for the other vectors has no meaning.
    bare = np.where(periodic[:, None], box, 0.0)
    points = coord if periodic.all() or not periodic.any() else _closed_up(coord, bare, pbc, 2.0 * cutoff)
    found = search.compute(points=points, box=bare, periodic=periodic, quantities=quantities)
    return tuple(
        values.astype(np.int64) if name in "ij" else values
        for name, values in zip(quantities, found, strict=True)
    )


def _closed_up(coord: np.ndarray, box: np.ndarray, pbc: Sequence[bool], gap: float) -> np.ndarray:
    """The atoms, with wider gaps than `gap` (Å) along directions without images made that wide.

    No pair that is closer changes. vesin's boxes fill the room between the atoms of slabs and wires: one atom
    far away from the others makes it slow, and ends the process if it is very far.
    """
    cell = completed(box, pbc)
    place = coord @ np.linalg.inv(cell)
    moved = np.zeros_like(place)
    for k in np.flatnonzero(~np.array(pbc, dtype=bool)):
        order = np.argsort(place[:, k])
        moved[order[1:], k] = np.cumsum(np.maximum(np.diff(place[order, k]) - gap, 0.0))
    return coord - moved @ cell if moved.any() else coord


def pairs_within(
    i: np.ndarray,
    j: np.ndarray,
    vector: np.ndarray,
    displacement: np.ndarray,
    types: np.ndarray,
    use_spin: np.ndarray,
    cutoff: float,
    any_direction: bool = False,
) -> Pairs:
    """Those of candidate pairs of real atoms (P,), and of their virtual atoms, within the cutoff (Å).

    A virtual atom is R_j + η_j S_j of an element with spin, the centre's own included. The pairs are
    sorted by their centres.

    vector: (P, 3), Å, from atom i to the image of j; displacement: (N, 3), η S, Å. use_spin: (T,).
    any_direction: also the virtual atoms that would lie within the cutoff if their spins pointed elsewhere;
        pairs beyond it count for nothing.
    """
    own = np.arange(len(types))
    real = _within(vector, cutoff)
    virtual_i = np.concatenate((i, own))
    virtual_j = np.concatenate((j, own))
    virtual_vector = np.concatenate((vector, np.zeros((len(own), 3)))) + displacement[virtual_j]
    if any_direction:
        reach = cutoff + np.linalg.norm(displacement, axis=1)[virtual_j] + MARGIN
        virtual = _within(virtual_vector - displacement[virtual_j], reach)
    else:
        virtual = _within(virtual_vector, cutoff)
    virtual &= use_spin[types[virtual_j]]

    return Pairs(
        centre=np.concatenate((i[real], virtual_i[virtual])),
        neighbour=np.concatenate((j[real], virtual_j[virtual])),
        neighbour_type=np.concatenate((types[j[real]], types[virtual_j[virtual]] + len(use_spin))).astype(
            np.int64
        ),
        vector=np.concatenate((vector[real], virtual_vector[virtual])),
    ).sorted()


def _within(vector: np.ndarray, cutoff: float | np.ndarray) -> np.ndarray:
    return np.asarray(np.einsum("pc,pc->p", vector, vector) < cutoff * cutoff)


def refuse_overlaps(
    box: np.ndarray,
    coord: np.ndarray,
    pbc: Sequence[bool],
    elements: Sequence[str],
    where: Callable[[int], str],
) -> None:
    """Refuse atoms on top of each other. box: (F, 3, 3), coord: (F, N, 3), Å; where: the place of a frame.

    Raises InputError naming file, frame and atoms.
    """
    for frame in range(len(coord)):
        i, j, distance = close_pairs(box[frame], coord[frame], pbc, OVERLAP)
        if len(distance) and distance.min() < OVERLAP:
            pair = int(distance.argmin())
            raise overlapping(where(frame), int(i[pair]), int(j[pair]), elements, float(distance[pair]))


def close_pairs(
    box: np.ndarray, coord: np.ndarray, pbc: Sequence[bool], least: float
) -> tuple[np.ndarray, ...]:
    """Each pair of atoms i, j (P,) of a frame at most `least` Å apart, some beyond, and their distances (P,).

    box: (3, 3); coord: (N, 3). An atom and its own image are a pair too.
    """
    spacing = np.cbrt(room(box, coord, pbc) / len(coord))
    reach = max(least, float(np.clip(spacing, SMALLEST_REACH, LARGEST_REACH)))
    return neighbours(reach, coord, box, pbc, "ijd", full_list=False, n_threads=1)


def overlapping(place: str, i: int, j: int, elements: Sequence[str], distance: float) -> InputError:
    """What is said of atoms i and j at a distance, Å."""
    i, j = sorted((i, j))
    return InputError(
        f"{place}: atoms {i} ({elements[i]}) and {j} ({elements[j]}) are {distance:.3g} Å apart. Expected "
        f"at least {OVERLAP} Å between atoms. Look for an atom written twice, fractional coordinates, or a "
        "wrong cell."
    )
