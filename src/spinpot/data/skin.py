"""Neighbour pairs of a structure that moves: the search is repeated only when atoms have moved far enough."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch

from spinpot.data.geometry import Geometry, Structures
from spinpot.data.pairs import MARGIN, PairArrays, neighbours, pairs_within


@dataclass(frozen=True)
class Candidates:
    """Pairs (i, j, translation) that may come within reach; the structure `of` which they were found."""

    of: Structures
    displacement: float
    i: np.ndarray
    j: np.ndarray
    shift: np.ndarray


class SkinGeometry(Geometry):
    """A Geometry that keeps the pairs within its reach and a skin (Å), and looks for new ones when it must.

    The pairs it gives are the Geometry's own; only their order may differ.
    """

    def __init__(self, geometry: Geometry, skin: float) -> None:
        super().__init__(**{item.name: getattr(geometry, item.name) for item in fields(Geometry)})
        self.skin = skin
        self.searches = 0
        self._candidates: Candidates | None = None

    def pairs(self, structures: Structures) -> PairArrays:
        """The pairs of one structure."""
        if len(structures.n_atoms) != 1:
            return super().pairs(structures)
        displacement = self.displacement(structures)
        longest = float(np.linalg.norm(displacement, axis=1).max(initial=0.0))
        found = self._candidates
        if found is None or not self._still_hold(found, structures, longest):
            found = self._candidates = self._search(structures, longest)
        vector = structures.coord[found.j] - structures.coord[found.i] + found.shift @ structures.box[0]
        return pairs_within(
            self.cutoff,
            found.i,
            found.j,
            vector,
            structures.types,
            displacement,
            self.seen,
            self.any_direction,
        )

    def _still_hold(self, found: Candidates, structures: Structures, longest: float) -> bool:
        """Whether no pair outside the candidates can have come within reach.

        Two atoms come closer by at most twice the largest move; a virtual atom by its own lengthening
        besides.
        """
        same = ("box", "pbc", "types")
        if not all(np.array_equal(getattr(structures, name), getattr(found.of, name)) for name in same):
            return False
        moved = float(np.linalg.norm(structures.coord - found.of.coord, axis=1).max(initial=0.0))
        return 2.0 * moved + max(longest - found.displacement, 0.0) <= self.skin

    def _search(self, structures: Structures, longest: float) -> Candidates:
        self.searches += 1
        reach = self.cutoff + longest + self.skin + MARGIN
        place = structures.coord, structures.box[0], structures.pbc[0]
        i, j, shift = neighbours(reach, *place, "ijS", n_threads=torch.get_num_threads())
        return Candidates(structures, longest, i, j, shift.astype(np.float64))
