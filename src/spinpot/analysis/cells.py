"""The magnetic cell of a structure, and supercells of it."""

from __future__ import annotations

import itertools

import numpy as np
from ase import Atoms
from ase.build import make_supercell
from ase.geometry import find_mic, minkowski_reduce

from spinpot.core.errors import InputError

SHAPES = (
    np.eye(3),
    np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]]) / np.sqrt(2.0),
    np.array([[-1.0, 1.0, 1.0], [1.0, -1.0, 1.0], [1.0, 1.0, -1.0]]) / np.sqrt(3.0),
)
"""Cubic lattices with a shortest vector of 1: the nearer a supercell's to these, the fewer atoms it needs."""


def magnetic_cell(atoms: Atoms, tolerance: float) -> Atoms:
    """The smallest cell that repeats with elements, positions and moments, within a tolerance (Å and μ_B).

    Its atoms are those of the structure; the cell is Minkowski-reduced and right-handed.
    """
    symbols = atoms.get_chemical_symbols()
    rarest = min(dict.fromkeys(symbols), key=symbols.count)
    first, *others = np.flatnonzero(atoms.symbols == rarest)
    found = [
        step for step in atoms.positions[others] - atoms.positions[first] if _repeats(atoms, step, tolerance)
    ]
    candidates = np.vstack((atoms.cell.array, *_wrapped(found, atoms)))
    volume = atoms.get_volume() / (len(found) + 1)
    rough = _basis(candidates, volume)
    vectors = np.linalg.inv(np.rint(atoms.cell.array @ np.linalg.inv(rough))) @ atoms.cell.array
    made = atoms.copy()
    made.calc = None
    made.set_cell(vectors)
    scaled = made.get_scaled_positions(wrap=True)
    kept: list[int] = []
    for index in range(len(atoms)):
        alike = [other for other in kept if symbols[other] == symbols[index]]
        apart = scaled[alike] - scaled[index]
        near = np.linalg.norm((apart - np.round(apart)) @ vectors, axis=1) < 2.0 * tolerance
        if not near.any():
            kept.append(index)
    return made[kept]


def supercell(cell: Atoms, length: float) -> tuple[Atoms, np.ndarray]:
    """A supercell whose lattice vectors are all at least `length` (Å) long, of few atoms; and its matrix.

    Atom k of it is an image of atom k modulo the number of atoms of the cell.
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
    """The length of a lattice's shortest vector; vectors: (3, 3), in rows."""
    reduced, _ = minkowski_reduce(vectors)
    return float(np.linalg.norm(reduced, axis=1).min())


def _repeats(atoms: Atoms, step: np.ndarray, tolerance: float) -> bool:
    """Whether the structure is the same after a translation."""
    moments = atoms.get_initial_magnetic_moments()
    for element in set(atoms.symbols):
        own = np.flatnonzero(atoms.symbols == element)
        there, here = atoms.positions[own], atoms.positions[own] + step
        apart = (here[:, None] - there[None]).reshape(-1, 3)
        distance = find_mic(apart, atoms.cell)[1].reshape(len(own), len(own))
        image = distance.argmin(axis=1)
        if distance.min(axis=1).max() > tolerance:
            return False
        if np.linalg.norm(moments[own] - moments[own][image], axis=1).max() > tolerance:
            return False
    return True


def _wrapped(steps: list[np.ndarray], atoms: Atoms) -> list[np.ndarray]:
    """Translations, each as short as the cell's images allow."""
    return [find_mic(step[None], atoms.cell)[0][0] for step in steps]


def _basis(candidates: np.ndarray, volume: float) -> np.ndarray:
    """Three of the vectors that span a cell of a given volume, reduced and right-handed."""
    ordered = candidates[np.argsort(np.linalg.norm(candidates, axis=1), kind="stable")]
    for chosen in itertools.combinations(ordered, 3):
        vectors = np.array(chosen)
        if np.isclose(abs(np.linalg.det(vectors)), volume, rtol=0.05):
            reduced, _ = minkowski_reduce(vectors)
            return reduced if np.linalg.det(reduced) > 0.0 else -reduced
    raise InputError(
        "The structure repeats itself only roughly: translations that leave it as it is within the tolerance "
        "do not add up. Give another task.exchange.tolerance or task.magnons.tolerance (Å and μ_B)."
    )
