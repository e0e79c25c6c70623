"""Energies of spirals in NiO agree with exchange constants summed by hand."""

import numpy as np
import pytest
from ase.build import bulk

from spinpot.analysis.spiral import Settings, spiral
from spinpot.core.errors import InputError
from spinpot.data import nio
from support.nio_calculator import NiOCalculator, nio_atoms

A = nio.LATTICE_CONSTANT


def ferromagnet():
    """The primitive cell, with a single Ni."""
    atoms = bulk("NiO", "rocksalt", a=A)
    atoms.set_initial_magnetic_moments([[0.0, 0.0, nio.MOMENT], [0.0, 0.0, 0.0]])
    return atoms


def by_hand(q):
    """E(q) − E(0) per Ni of q in 1/Å: ½ Σ_R J(R) (cos q·R − 1), 12 neighbours at a/√2 and 6 at a."""
    grid = np.array([[i, j, k] for i in range(-2, 3) for j in range(-2, 3) for k in range(-2, 3)]) * A / 2
    length = np.linalg.norm(grid, axis=1)
    shells = ((nio.J1, grid[np.isclose(length, A / np.sqrt(2))]), (nio.J2, grid[np.isclose(length, A)]))
    assert [len(vectors) for _, vectors in shells] == [12, 6]
    return sum(0.5 * J * (np.cos(vectors @ q) - 1.0).sum() for J, vectors in shells)


def test_a_path_of_the_ferromagnet():
    atoms = ferromagnet()
    found = spiral(NiOCalculator(), atoms, Settings(path="GLX,KG", steps=4)).numbers
    q = np.array(found["q"]) @ (2 * np.pi * np.linalg.inv(atoms.cell.array).T)
    expected = [by_hand(one) for one in q]
    np.testing.assert_allclose(found["energy_per_magnetic_atom"], expected, atol=0.3e-3)  # dipoles
    assert expected[4] == pytest.approx(-6 * (nio.J1 + nio.J2), abs=1e-9)  # L
    assert len(q) == 4 + 4 + 1 + 4 + 1
    steps = np.linalg.norm(np.diff(q, axis=0), axis=1)
    steps[8] = 0.0  # between X and K there is no path
    np.testing.assert_allclose(np.diff(found["place"]), steps, atol=1e-12)


def test_half_a_wave_is_the_antiferromagnet():
    """q = (½ ½ ½) of the primitive cell is AFM-II, up to the direction of its moments."""
    found = spiral(
        NiOCalculator(), ferromagnet(), Settings(path=[[0, 0, 0], [0.5, 0.5, 0.5]], steps=1)
    ).numbers
    energies = []
    for atoms in (ferromagnet(), nio_atoms(axis=(0, 0, 1))):
        atoms.calc = NiOCalculator()
        energies.append(atoms.get_potential_energy() / np.count_nonzero(atoms.numbers == 28))
    assert found["energy_per_magnetic_atom"][1] == pytest.approx(energies[1] - energies[0], abs=1e-12)


def test_cartesian_waves_are_the_same():
    """A wave of the crystal is the same whichever cell describes it: π/a (1 1 1) is AFM-II."""
    q = (np.pi / A * np.ones(3)).tolist()
    energies = []
    for atoms in (ferromagnet(), ferromagnet().repeat((2, 1, 1))):
        found = spiral(NiOCalculator(), atoms, Settings(path=[[0, 0, 0], q], unit="1/Å", steps=1)).numbers
        energies.append(found["energy_per_magnetic_atom"][1])
    assert energies[0] == pytest.approx(energies[1], abs=1e-12)
    assert energies[0] == pytest.approx(-6 * (nio.J1 + nio.J2), abs=0.3e-3)


def test_a_reciprocal_lattice_vector_changes_nothing_in_a_bravais_lattice():
    found = spiral(NiOCalculator(), ferromagnet(), Settings(path=[[0, 0, 0], [1, 0, -1]], steps=1)).numbers
    assert found["energy_per_magnetic_atom"][1] == pytest.approx(0.0, abs=1e-12)


REFUSED = {
    "at least 1 step": {"steps": 0},
    "three numbers each": {"path": [[0, 0]]},
    "special points of this cell, which are G, K, L": {"path": "GQ"},
    "not commensurate with a supercell of at most 5 cells": {
        "path": [[0, 0, 0], [0.27, 0, 0]],
        "most_atoms": 10,
    },
    "needs 16 cells, 32 atoms; task.spiral.most_atoms=30 allows 15": {"most_atoms": 30},
    "most_atoms=1: expected at least the 2 of the structure": {"most_atoms": 1},
    "changes nothing": {"axis": [0, 0, 1]},
}


@pytest.mark.parametrize("message", REFUSED)
def test_refused(message):
    with pytest.raises(InputError, match=message):
        spiral(NiOCalculator(), ferromagnet(), Settings(**REFUSED[message]))
