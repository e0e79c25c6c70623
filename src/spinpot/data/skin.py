"""Neighbour pairs of a structure that moves: the search is repeated only when atoms have moved far enough."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from spinpot.data.dataset import Geometry
from spinpot.data.pairs import MARGIN, Pairs, neighbours
from spinpot.data.systems import System, select


@dataclass(frozen=True)
class Candidates:
    """Pairs (i, j, translation) that may come within reach, and the one frame they were found for."""

    system: System
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

    def pairs(self, system: System, frame: int) -> Pairs:
        """The neighbour pairs of one frame."""
        box, coord = system.box[frame], system.coord[frame]
        displacement = self.displacement(system, frame)
        longest = float(np.linalg.norm(displacement, axis=1).max(initial=0.0))
        found = self._candidates
        if found is None or not self._still_hold(found, system, frame, longest):
            found = self._candidates = self._search(system, frame, longest)
        vector = coord[found.j] - coord[found.i] + found.shift @ box
        return self.within(system.types, displacement, found.i, found.j, vector)

    def _still_hold(self, found: Candidates, system: System, frame: int, longest: float) -> bool:
        """Whether no pair outside the candidates can have come within reach.

        Two atoms come closer by at most twice the largest move; a virtual atom by its own lengthening
        besides.
        """
        before = found.system
        if system.pbc != before.pbc or not np.array_equal(system.box[frame], before.box[0]):
            return False
        if not np.array_equal(system.types, before.types):
            return False
        moved = float(np.linalg.norm(system.coord[frame] - before.coord[0], axis=1).max(initial=0.0))
        return 2.0 * moved + max(longest - found.displacement, 0.0) <= self.skin

    def _search(self, system: System, frame: int, longest: float) -> Candidates:
        self.searches += 1
        reach = self.cutoff + longest + self.skin + MARGIN
        i, j, shift = neighbours(reach, system.coord[frame], system.box[frame], system.pbc, "ijS")
        return Candidates(select(system, np.array([frame])), longest, i, j, shift.astype(np.float64))
