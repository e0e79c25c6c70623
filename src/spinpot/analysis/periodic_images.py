"""Which pairs of moments the cells of the training frames determine.

In a periodic frame a pair coincides with its images, the pairs that differ from it by a lattice vector of the
frame's cell. The labels give the sum of their J. It is the J of the nearest pair if the others are small.
"""

from collections.abc import Iterable

import numpy as np

from spinpot.analysis.cells import shortest
from spinpot.analysis.exchange_tensors import SLACK, Exchange

STRAIN = 0.15
"""Largest deviation of a cell's vectors from a supercell, in units of the shortest lattice vector."""
EQUAL = 0.03  # Å; within it, images are equally near
SMALL = 0.005  # of the largest |J|; shells of smaller J are not listed
SHARE = 0.1
"""Farther images are small if the sum of their |J| is below this share of the nearest, or SMALL."""


def determined(found: Exchange, equal: np.ndarray, reach: float, cells: Iterable[np.ndarray]) -> np.ndarray:
    """Whether the training cells determine the J of each pair (P,).

    In a cell that is a supercell of the magnetic cell, these are the nearest images, if they are equal by
    symmetry and the farther ones are small. In other cells, and if none is known, these are the pairs within
    `reach`, Å. equal (P,): number of the set of equal pairs.
    """
    matrices = [supercell_matrix(found.cell.cell.array, cell) for cell in cells]
    known = np.zeros(len(found.i), dtype=bool)
    if not matrices or any(matrix is None for matrix in matrices):
        known |= found.distance <= reach + SLACK
    for matrix in matrices:
        if matrix is not None:
            known |= _in_supercell(found, equal, matrix)
    return known


def supercell_matrix(lattice: np.ndarray, cell: np.ndarray) -> np.ndarray | None:
    """Integers M (3, 3) with cell ≈ M · lattice, vectors in rows; None if the cell is no supercell."""
    matrix = np.rint(cell @ np.linalg.inv(lattice))
    apart = np.linalg.norm(cell - matrix @ lattice, axis=1).max()
    if np.linalg.det(matrix) == 0.0 or apart > STRAIN * shortest(lattice):
        return None
    return np.asarray(matrix, dtype=int)


def _in_supercell(found: Exchange, equal: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Whether the frames of one supercell determine the J of each pair (P,)."""
    image, J = _images(found, matrix), np.abs(found.isotropic)
    nearest = np.full(image.max() + 1, np.inf)
    np.minimum.at(nearest, image, found.distance)
    near = found.distance <= nearest[image] + EQUAL
    least, most = np.full(len(nearest), equal.max()), np.zeros(len(nearest), dtype=equal.dtype)
    np.minimum.at(least, image[near], equal[near])
    np.maximum.at(most, image[near], equal[near])
    of_near, of_others = (np.bincount(image, J * own, len(nearest)) for own in (near, ~near))
    small = of_others <= np.maximum(SHARE * of_near, SMALL * J.max())
    return np.asarray(near & ((least == most) & small)[image] & (image > 0))


def _images(found: Exchange, matrix: np.ndarray) -> np.ndarray:
    """The number of the set of images that each pair (P,) belongs to; 0: images of an atom itself."""
    size = round(abs(np.linalg.det(matrix)))
    # Shifts that differ by a lattice vector of the supercell have the same remainder.
    remainder = np.rint(found.shift @ np.linalg.inv(matrix) * size).astype(int) % size
    itself = (found.i == found.j) & ~remainder.any(axis=1)
    keys = np.column_stack((found.i, found.j, remainder))
    number = np.unique(keys, axis=0, return_inverse=True)[1].ravel()
    return np.where(itself, 0, number + 1)
