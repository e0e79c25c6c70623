"""What the cells of the training frames determine: single exchange constants, and their sums.

In a periodic frame a pair coincides with its images, the pairs that differ from it by a lattice vector of the
frame's cell. The labels give the sum of their J. It is the J of the nearest pair if the others are small. An
atom and its own images turn together, so the labels do not contain their J.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from ase import Atoms
from ase.formula import Formula

from spinpot.analysis.exchange_tensors import Exchange
from spinpot.analysis.mean_field import largest_sum
from spinpot.analysis.shells import GAP

STRAIN = 0.1
"""Largest strain of a training cell relative to a supercell of the structure."""
SMALL = 0.005  # of the largest |J|; shells of smaller J are not listed
SHARE = 0.1
"""What is not determined is small if the sum of its |J| is below this share of the result, or SMALL."""

Cells = Mapping[str, Sequence[Sequence[Sequence[float]]]]
"""Cells (3, 3), lattice vectors in rows, Å, by the formula of their atoms."""


def supercells(atoms: Atoms, crystals: Cells) -> list[np.ndarray]:
    """The matrices (see supercell_matrix) of the cells that are supercells of `atoms`."""
    own, found = atoms.symbols.formula.count(), []
    for formula, cells in crystals.items():
        counts = Formula(formula).count()
        size = sum(counts.values()) // len(atoms)
        if counts == {element: size * number for element, number in own.items()}:
            matrices = (supercell_matrix(atoms.cell.array, np.array(cell)) for cell in cells)
            found += [m for m in matrices if m is not None and round(abs(np.linalg.det(m))) == size]
    return found


def supercell_matrix(lattice: np.ndarray, cell: np.ndarray) -> np.ndarray | None:
    """Integers M (3, 3) with cell ≈ M · lattice, vectors in rows; None if the cell is no supercell."""
    matrix = np.rint(cell @ np.linalg.inv(lattice))
    if round(np.linalg.det(matrix)) == 0:
        return None
    strain = np.linalg.solve(matrix @ lattice, cell) - np.eye(3)
    return matrix.astype(int) if np.linalg.norm(strain, 2) <= STRAIN else None


def pairs_determined(found: Exchange, equal: np.ndarray, matrices: Sequence[np.ndarray]) -> np.ndarray:
    """Whether the frames of one of the supercells determine the J of each pair (P,).

    They do for the nearest images, if these are equal by symmetry and the farther ones are small. equal (P,):
    number of the set of equal pairs.
    """
    return np.asarray(np.any([_in_supercell(found, equal, matrix) for matrix in matrices], axis=0))


def sums_determined(found: Exchange, matrices: Sequence[np.ndarray]) -> bool:
    """Whether the frames of one of the supercells determine λ of `largest_sum`.

    The labels contain every J except those between an atom and its own images. The sum of these changes λ by
    no more than its largest value over the atoms.
    """
    J, smallest = np.abs(found.isotropic), SHARE * abs(largest_sum(found))
    missing = (np.bincount(found.i, J * (_images(found, matrix) == 0)).max() for matrix in matrices)
    return any(sums <= smallest for sums in missing)


def _in_supercell(found: Exchange, equal: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Whether the frames of one supercell determine the J of each pair (P,)."""
    image, J = _images(found, matrix), np.abs(found.isotropic)
    nearest = np.full(image.max() + 1, np.inf)
    np.minimum.at(nearest, image, found.distance)
    near = found.distance <= nearest[image] + GAP  # equally near
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
