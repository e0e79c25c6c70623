"""Neighbour pairs of structures that move: the search is repeated only when atoms have moved far enough."""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from typing import Any

from spinpot import kernels
from spinpot.data.geometry import Geometry, Structures
from spinpot.kernels.pairs import PairArrays, PairList, find_pairs


class SkinGeometry(Geometry):
    """A Geometry that keeps what is within its reach and a skin (Å), and searches only when it must.

    The pairs it gives are the Geometry's own. Where the library is not compiled it searches every time.
    """

    def __init__(self, geometry: Geometry, skin: float) -> None:
        super().__init__(**{item.name: getattr(geometry, item.name) for item in fields(Geometry)})
        self.geometry = geometry
        self.skin = skin
        self._kept: PairList | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return SkinGeometry, (self.geometry, self.skin)

    @property
    def searches(self) -> int:
        """How many there were."""
        return 0 if self._kept is None else self._kept.searches

    def pairs(self, structures: Structures) -> PairArrays:
        """The pairs of all structures."""
        if not kernels.library():
            return super().pairs(structures)
        self._kept = self._kept or PairList(self.skin)
        return self._pairs(partial(find_pairs, kept=self._kept), structures)
