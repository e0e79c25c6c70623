"""Frames that are there twice, within a system and between systems, and whether their energies agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from spinpot.data.systems import System

SAME = 1e-4
"""Å and μ_B: frames of which no coordinate differs by more are the same."""
SIEVE = 12
"""Coordinates by which frames that may be the same are found."""
SAME_ENERGY = 1e-5
"""eV/atom by which energies of the same structure may differ."""


@dataclass(frozen=True)
class Duplicates:
    """Frames of `first` and `second` (maybe the same system) that are the same, as pairs of numbers.

    apart: the largest difference of energies among them, eV/atom; None without energies.
    """

    first: str
    second: str
    frames: list[tuple[int, int]]
    apart: float | None

    @property
    def of_second(self) -> int:
        """Frames of `second` that are in `first` too."""
        return len({frame for _, frame in self.frames})


def duplicates(systems: Sequence[System]) -> list[Duplicates]:
    """All of them, systems in the given order. Atoms are compared in the order they are stored in."""
    found = []
    groups: dict[tuple[str, ...], list[System]] = {}
    for system in systems:
        groups.setdefault(tuple(system.type_map[kind] for kind in system.types), []).append(system)
    for alike in groups.values():
        found += _among(alike)
    return found


def _among(systems: Sequence[System]) -> list[Duplicates]:
    """Duplicates among systems with the same atoms."""
    owner = np.repeat(np.arange(len(systems)), [len(system) for system in systems])
    number = np.concatenate([np.arange(len(system)) for system in systems])
    points = np.concatenate([_points(system) for system in systems])
    same: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for a, b in _near(points):
        same.setdefault((int(owner[a]), int(owner[b])), []).append((int(number[a]), int(number[b])))
    return [
        Duplicates(systems[a].name, systems[b].name, frames, _apart(systems[a], systems[b], frames))
        for (a, b), frames in sorted(same.items())
    ]


def _points(system: System) -> np.ndarray:
    """Frames as points: cell, moments, and places on circles as long as the cell, where images are one."""
    phase = 2 * np.pi * system.coord @ np.linalg.inv(system.box)
    radius = np.linalg.norm(system.box, axis=2)[:, None] / (2 * np.pi)
    parts = (system.box, system.spin, radius * np.cos(phase), radius * np.sin(phase))
    return np.concatenate([part.reshape(len(system), -1) for part in parts], axis=1)


def _near(points: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of points (n, coordinates) that differ by at most SAME in every coordinate."""
    # A tree of all coordinates would be slow; the few that vary most leave hardly more than the true pairs.
    widest = np.argsort(-points.std(axis=0), kind="stable")[:SIEVE]
    pairs = cKDTree(points[:, widest]).query_pairs(SAME, p=np.inf)
    return [(a, b) for a, b in sorted(pairs) if np.abs(points[a] - points[b]).max() <= SAME]


def _apart(first: System, second: System, frames: Sequence[tuple[int, int]]) -> float | None:
    if first.energy is None or second.energy is None:
        return None
    a, b = np.array(frames).T
    return float(np.abs(first.energy[a] - second.energy[b]).max() / first.n_atoms)
