"""The range of a model's training frames, in a few numbers that its checkpoint stores."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from ase.formula import Formula

from spinpot.data.description import lengths_of
from spinpot.data.systems import System

MOST_CELLS = 8
ALIKE = 0.5
"""Å. Cells whose vectors round to the same multiples of it count as one, e.g. strained copies."""

Crystals = dict[str, list[list[list[float]]]]
"""Cells (3, 3), lattice vectors in rows, Å, by the formula of their atoms, such as Ni2O2."""


@dataclass(frozen=True)
class TrainingFacts:
    """The range of a model's training frames.

    moments: {element: [least, greatest |S|]}, μ_B, of the elements with spin in the training frames.
    crystals: different cells of frames with three lattice vectors, at most MOST_CELLS per formula.
    """

    moments: dict[str, list[float]]
    crystals: Crystals = field(default_factory=dict)

    @classmethod
    def stored(cls, facts: Mapping[str, Any]) -> Self:
        """The facts of a file. Earlier files have other entries and no crystals."""
        return cls(facts["moments"], facts.get("crystals", {}))


def training_facts(systems: Sequence[System], use_spin: Sequence[bool]) -> TrainingFacts:
    """The facts of training frames; use_spin: one bool per element of their type map."""
    return TrainingFacts(moment_ranges(systems, use_spin), crystals(systems))


def crystals(systems: Sequence[System]) -> Crystals:
    """The different cells of each formula, from the first frame of each system."""
    found: dict[str, dict[tuple[int, ...], list[list[float]]]] = {}
    for system in systems:
        if all(system.pbc):
            cell = np.asarray(system.box[0])
            cells = found.setdefault(str(Formula.from_dict(Counter(sorted(system.elements)))), {})
            if len(cells) < MOST_CELLS:
                cells.setdefault(tuple(np.rint(cell / ALIKE).astype(int).flat), cell.tolist())
    return {formula: list(cells.values()) for formula, cells in found.items()}


def moment_ranges(systems: Sequence[System], use_spin: Sequence[bool]) -> dict[str, list[float]]:
    """{element: [least, greatest |S|]}, μ_B, of the elements with spin that occur."""
    ranges: dict[str, list[float]] = {}
    for system in systems:
        for element, (low, high) in lengths_of(system).items():
            if use_spin[system.type_map.index(element)]:
                known = ranges.setdefault(element, [low, high])
                known[:] = min(known[0], low), max(known[1], high)
    return ranges
