"""The range of a model's training frames, in a few numbers that its checkpoint stores."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from ase.geometry import minkowski_reduce

from spinpot.data.cell import PERIODIC, Periodic, completed
from spinpot.data.systems import System

ROUNDOFF = 1e-12
MOST_CELLS = 8
ALIKE = 0.5
"""Å. Cells whose vectors round to the same multiples of it count as one, e.g. strained copies."""


@dataclass(frozen=True)
class TrainingFacts:
    """The range of a model's training frames.

    moments: {element: [least, greatest |S|]}, μ_B, of the elements with spin in the training frames.
    largest_shortest_vector: Å, the largest of the training cells' shortest lattice vectors. The data cannot
        distinguish pairs of atoms that differ by a lattice vector in every training cell.
    cells: the largest different cells of crystals, at most MOST_CELLS; lattice vectors in rows, Å.
    """

    moments: dict[str, list[float]]
    largest_shortest_vector: float
    cells: list[list[list[float]]] = field(default_factory=list)


def training_facts(systems: Sequence[System], use_spin: Sequence[bool]) -> TrainingFacts:
    """The facts of training frames; use_spin: one bool per element of their type map."""
    return TrainingFacts(moment_ranges(systems, use_spin), _told_apart(systems), _largest_cells(systems))


def _largest_cells(systems: Sequence[System]) -> list[list[list[float]]]:
    """The largest different cells, from the first frame of each system."""
    crystals = [np.asarray(system.box[0]) for system in systems if all(system.pbc)]
    different = {tuple(np.rint(cell / ALIKE).astype(int).flat): cell for cell in reversed(crystals)}
    by_volume = sorted(different.values(), key=lambda cell: -abs(np.linalg.det(cell)))
    return [cell.tolist() for cell in by_volume[:MOST_CELLS]]


def _told_apart(systems: Sequence[System]) -> float:
    """largest_shortest_vector of frames, over their periodic directions.

    Frames without periodic directions distinguish all pairs, up to the extent of the atoms; since half of the
    value is used, it is twice that extent.
    """
    cells: dict[Periodic, list[np.ndarray]] = {}
    largest = 0.0
    for system in systems:
        if any(system.pbc):
            cells.setdefault(system.pbc, []).append(np.asarray(system.box))
        else:
            reach = np.linalg.norm(np.ptp(system.coord, axis=1), axis=1).max()
            largest = max(largest, float(2.0 * reach))
    found = (largest_shortest_vector(np.concatenate(boxes), pbc) for pbc, boxes in cells.items())
    return max([largest, *found])


def moment_ranges(systems: Sequence[System], use_spin: Sequence[bool]) -> dict[str, list[float]]:
    """{element: [least, greatest |S|]}, μ_B, of the elements with spin that occur."""
    ranges: dict[str, list[float]] = {}
    for system in systems:
        length = np.linalg.norm(system.spin, axis=-1)
        for kind in np.unique(system.types):
            if use_spin[kind]:
                own = length[:, system.types == kind]
                known = ranges.setdefault(system.type_map[kind], [np.inf, 0.0])
                known[:] = min(known[0], float(own.min())), max(known[1], float(own.max()))
    return ranges


def largest_shortest_vector(box: np.ndarray, pbc: Periodic = PERIODIC) -> float:
    """The largest of the shortest periodic lattice vectors of cells (F, 3, 3), Å."""
    box = np.unique(box, axis=0)  # many sets have only one cell
    periodic = np.array(pbc)
    # Sums of few vectors give an upper bound of the shortest one, up to roundoff, and mostly the exact value.
    few = np.stack(np.meshgrid(*[np.arange(-1, 2)] * periodic.sum()), -1).reshape(-1, periodic.sum())
    sums = few[len(few) // 2 + 1 :] @ box[:, periodic]
    largest, bound = 0.0, np.linalg.norm(sums, axis=2).min(axis=1) / (1.0 + ROUNDOFF)
    for frame in np.argsort(-bound, kind="stable"):
        if bound[frame] <= largest:
            break
        reduced = minkowski_reduce(completed(box[frame], pbc), pbc)[0]
        largest = max(largest, float(np.linalg.norm(reduced[periodic], axis=1).min()))
    return largest
