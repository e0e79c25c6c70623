"""The magnetic cell of a structure and supercells with long vectors."""

import numpy as np
import pytest

from spinpot.analysis.cells import magnetic_cell, shortest, supercell
from spinpot.data.nio_frames import SHAPES
from support.nio_calculator import PRIMITIVE, nio_atoms


@pytest.mark.parametrize("shape", [*SHAPES.values(), PRIMITIVE])
def test_nio_has_two_formula_units(shape):
    atoms = nio_atoms(shape)
    cell = magnetic_cell(atoms, 0.01)
    assert cell.get_chemical_formula() == "Ni2O2"
    assert cell.get_volume() == pytest.approx(2 * 4.17**3 / 4)
    assert np.allclose(cell.get_initial_magnetic_moments().sum(axis=0), 0.0)
    # Every lattice vector of the structure is one of the cell.
    multiples = atoms.cell.array @ np.linalg.inv(cell.cell.array)
    assert np.allclose(multiples, np.round(multiples), atol=1e-9)


def test_without_moments_it_is_the_chemical_cell():
    atoms = nio_atoms()
    atoms.set_initial_magnetic_moments(np.zeros((4, 3)))
    assert magnetic_cell(atoms, 0.01).get_chemical_formula() == "NiO"


def test_a_displaced_atom_and_a_tilted_moment_break_the_repetition():
    for displaced, tilted in ((0.1, 0.0), (0.0, 0.3)):
        atoms = nio_atoms(SHAPES["primitive_16"])
        atoms.positions[0] += displaced
        moments = atoms.get_initial_magnetic_moments()
        moments[0] += tilted
        atoms.set_initial_magnetic_moments(moments)
        assert len(magnetic_cell(atoms, 0.01)) == 16
        assert len(magnetic_cell(atoms, 1.0)) == 4


@pytest.mark.parametrize("length", [5.0, 13.0])
def test_a_supercell_is_long_in_all_directions(length):
    cell = magnetic_cell(nio_atoms(), 0.01)
    big, matrix = supercell(cell, length)
    assert np.allclose(big.cell.array, matrix @ cell.cell.array)
    assert shortest(big.cell.array) >= length
    # Not much larger than the densest packing of spheres of this diameter.
    assert big.get_volume() < 1.6 * length**3 + 4 * cell.get_volume()
    fractions = (big.positions - cell.positions[np.arange(len(big)) % 4]) @ np.linalg.inv(cell.cell.array)
    assert np.allclose(fractions, np.round(fractions), atol=1e-9)
    assert (big.numbers == np.tile(cell.numbers, len(big) // 4)).all()
