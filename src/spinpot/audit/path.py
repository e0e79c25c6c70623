"""The path from one frame to another: straight for atoms and cell, along great circles for moments."""

from dataclasses import dataclass

import numpy as np

from spinpot.core.vectors import unit
from spinpot.data.cell import nearest_image
from spinpot.data.systems import System


@dataclass(frozen=True)
class Path:
    """The path from frame `start` to frame `end`, t = 0…1. Atoms move to their nearest image."""

    system: System
    start: int
    end: int

    @property
    def cells(self) -> tuple[np.ndarray, np.ndarray]:
        """The cell at t = 0 and its change, (3, 3) each, Å; see `System.cell`."""
        box = self.system.cell
        return box[self.start], box[self.end] - box[self.start]

    @property
    def fractional(self) -> tuple[np.ndarray, np.ndarray]:
        """Fractional coordinates at t = 0 and their change, (N, 3) each."""
        coord, box = self.system.coord, self.system.cell
        before, after = (coord[k] @ np.linalg.inv(box[k]) for k in (self.start, self.end))
        change = after - before
        return before, nearest_image(change, self.system.pbc)

    def pair_vectors(
        self, i: np.ndarray, j: np.ndarray, shift: np.ndarray, t: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Vectors of pairs i → j (P,) with cell shifts (P, 3) at t (T,), and their t-derivatives: (T, P, 3).

        The derivative has two parts: from the motion of the atoms in the cell, and from the change of the
        cell.
        """
        cell, strain = self.cells
        before, change = self.fractional
        step = change[j] - change[i]
        along = t[:, None, None]
        cells = cell + along * strain
        places = before[j] - before[i] + shift + along * step
        return places @ cells, step @ cells, places @ strain

    def spins(self, t: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Moments at t (T,), and the t-derivatives perpendicular and parallel to them: (T, N, 3), μ_B."""
        return geodesic(self.system.spin[self.start], self.system.spin[self.end], t)

    def largest_turn(self) -> float:
        """The largest rotation angle of a moment, radians."""
        spin = self.system.spin
        return float(_turns(spin[self.start], spin[self.end])[2].max(initial=0.0))


def geodesic(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors from a to b (N, 3) at t (T,): directions along the great circle, lengths linear in t.

    Returns the vectors and their t-derivatives perpendicular and parallel to them, each (T, N, 3). A zero
    vector gets the direction of the other. Opposite directions have no unique great circle; find them with
    `Path.largest_turn`.
    """
    u, side, angle = _turns(a, b)
    length, growth = _norm(a), _norm(b) - _norm(a)
    along = t[:, None, None]
    cosine, sine = np.cos(along * angle), np.sin(along * angle)
    direction = cosine * u + sine * side
    lengths = length + along * growth
    across = lengths * angle * (cosine * side - sine * u)
    return lengths * direction, across, growth * direction


def _turns(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors along a, and perpendicular to it towards b, (N, 3); angles between a and b (N, 1)."""
    u, v = unit(np.where(_norm(a) > 0, a, b)), unit(np.where(_norm(b) > 0, b, a))
    cosine = (u * v).sum(-1, keepdims=True)
    aside = v - cosine * u
    return u, unit(aside), np.arctan2(_norm(aside), cosine)


def _norm(a: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.norm(a, axis=-1, keepdims=True))
