"""Neighbouring moments, and shortest distances between atoms."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

Pairs = NDArray[np.int64]
"""(P, 2), the indices of neighbours."""

NEIGHBOURS = 1.25
"""Moments are neighbours up to this multiple of their shortest distance; in bcc, the first two shells."""


def neighbours(atoms: Atoms, magnetic: NDArray[np.bool_]) -> Pairs:
    """Pairs of different atoms with neighbouring moments, each once. magnetic: (N,), atoms with a moment."""
    indices = np.flatnonzero(magnetic)
    if len(indices) < 2:
        return np.empty((0, 2), dtype=np.int64)
    moments = atoms[magnetic]
    i, j = neighbor_list("ij", moments, NEIGHBOURS * shortest(moments))
    once = i < j
    return np.unique(np.column_stack((indices[i[once]], indices[j[once]])), axis=0).astype(np.int64)


def shortest(atoms: Atoms) -> float:
    """The shortest distance between two atoms in Å, including periodic images."""
    edge = float(np.linalg.norm(atoms.cell.array, axis=1).max())
    bound = min(edge, 1.5 * (atoms.cell.volume / len(atoms)) ** (1 / 3) + 1.0)
    for cutoff in (bound, 2 * edge):
        distances = neighbor_list("d", atoms, cutoff)
        if len(distances):
            return float(distances.min())
    return edge
