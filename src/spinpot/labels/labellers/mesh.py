"""Half-shifted k-point meshes, for which a cell and its supercells have the same points."""

from __future__ import annotations

import numpy as np

from spinpot.labels.configuration import Array

MARGIN = 1e-6
"""Relative tolerance of the spacing, for cells read from files with few digits."""


def mesh_size(cell: Array, spacing: float) -> tuple[int, int, int]:
    """The smallest numbers of points along the reciprocal vectors with distances up to `spacing` (Å⁻¹)."""
    reciprocal = 2.0 * np.pi * np.linalg.norm(np.linalg.inv(cell), axis=0)
    a, b, c = np.ceil(reciprocal / spacing - MARGIN).astype(int).tolist()
    return a, b, c


def half_shifted(size: tuple[int, int, int]) -> Array:
    """The k points (K, 3) in reciprocal lattice vectors: (i + ½) / n, from −½ to ½. Γ is never one of them.

    With n / m points, a cell m times as long has the same points after folding.
    """
    axes = [(np.arange(n) + 0.5) / n for n in size]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.asarray(points - np.where(points > 0.5, 1.0, 0.0))
