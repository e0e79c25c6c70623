"""Half-shifted k meshes: those of a cell and its supercells are the same points."""

from __future__ import annotations

import numpy as np

from spinpot.labels.configuration import Array

MARGIN = 1e-6
"""By which a spacing may be too small, relative: of a cell that was read from a file with few digits."""


def mesh_size(cell: Array, spacing: float) -> tuple[int, int, int]:
    """The least numbers of points along the reciprocal vectors that are at most `spacing` (Å⁻¹) apart."""
    reciprocal = 2.0 * np.pi * np.linalg.norm(np.linalg.inv(cell), axis=0)
    a, b, c = np.ceil(reciprocal / spacing - MARGIN).astype(int).tolist()
    return a, b, c


def half_shifted(size: tuple[int, int, int]) -> Array:
    """The points (K, 3) in reciprocal lattice vectors, none of them Γ: (i + ½) / n, from −½ to ½.

    Those of n and of n / m points fold onto each other, with the cell m times as long.
    """
    axes = [(np.arange(n) + 0.5) / n for n in size]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.asarray(points - np.where(points > 0.5, 1.0, 0.0))
