"""The magnetic cell of a structure, and supercells of it."""

import warnings

import numpy as np
import spglib
from ase import Atoms
from ase.build import make_supercell
from ase.geometry import minkowski_reduce
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from spinpot.core.errors import InputError

SHAPES = (
    np.eye(3),
    np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]]) / np.sqrt(2.0),
    np.array([[-1.0, 1.0, 1.0], [1.0, -1.0, 1.0], [1.0, 1.0, -1.0]]) / np.sqrt(3.0),
)
"""Cubic lattices with shortest vector 1. Supercells close to these shapes need the fewest atoms."""


def magnetic_cell(atoms: Atoms, tolerance: float) -> Atoms:
    """The smallest cell that repeats elements, positions and moments, within a tolerance (Å and μ_B).

    Its atoms are a subset of the structure's; the cell is Minkowski-reduced and right-handed.
    """
    lattice = atoms.cell.array
    found = symmetry(atoms, _kinds(atoms, tolerance), tolerance)
    if found is None:
        raise InputError(
            "The structure is only roughly periodic: the translations found within the tolerance are "
            "inconsistent. Give another task.exchange.tolerance or task.magnons.tolerance (Å and μ_B)."
        )
    multiples = np.rint(lattice @ np.linalg.inv(found.primitive_lattice))
    vectors, _ = minkowski_reduce(np.linalg.inv(multiples) @ lattice)
    made = atoms[np.sort(np.unique(found.mapping_to_primitive, return_index=True)[1])]
    made.set_cell(vectors * np.sign(np.linalg.det(vectors)))
    return made


def symmetry(atoms: Atoms, kinds: np.ndarray, tolerance: float) -> spglib.SpglibDataset | None:
    """Symmetry data from spglib, with atoms of the same kind (N,) equal; None if it finds none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # about spglib's way to report errors
        cell = (atoms.cell.array, atoms.get_scaled_positions(), kinds.tolist())
        return spglib.get_symmetry_dataset(cell, symprec=tolerance)


def _kinds(atoms: Atoms, tolerance: float) -> np.ndarray:
    """Integers that are equal for atoms of one element with equal moments."""
    features = np.column_stack((1e3 * atoms.numbers, atoms.get_initial_magnetic_moments()))
    return connected(len(atoms), cKDTree(features).query_pairs(tolerance, output_type="ndarray").T)


def connected(count: int, links: np.ndarray) -> np.ndarray:
    """The number of the connected group of each of `count` items, given links (2, L) between them."""
    graph = coo_matrix((np.ones(links.shape[1]), links), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1])


def supercell(cell: Atoms, length: float) -> tuple[Atoms, np.ndarray]:
    """A small supercell whose lattice vectors are all at least `length` (Å) long, and its matrix.

    Atom k of the supercell is an image of atom k mod n of the cell with n atoms.
    """
    inverse = np.linalg.inv(cell.cell.array)
    edges = np.linalg.norm(cell.cell.array, axis=1)
    diagonal = np.diag(np.ceil(length / edges))
    matrices = [diagonal + n * np.eye(3) for n in range(4)]
    matrices += [np.rint(s * length * shape @ inverse) for shape in SHAPES for s in np.linspace(1.0, 1.5, 26)]
    fitting = [m for m in matrices if np.linalg.det(m) > 0.5 and shortest(m @ cell.cell.array) >= length]
    matrix = min(fitting, key=lambda m: round(np.linalg.det(m))).astype(int)
    return make_supercell(cell, matrix), matrix


def shortest(vectors: np.ndarray) -> float:
    """The length of the shortest vector of a lattice; vectors: (3, 3), in rows."""
    reduced, _ = minkowski_reduce(vectors)
    return float(np.linalg.norm(reduced, axis=1).min())
