"""LAMMPS data files: dpdata reads the same structure, rotated."""

import dpdata
import numpy as np
import pytest

from spinpot.core.errors import InputError
from spinpot.data.lammps_files import HBAR, force_mag_from_fm, turned, write_data
from spinpot.evaluation.predictor import Predictor
from support.cli import PROJECT
from support.frames import atoms_of, random_system, small_potential


def test_turned_is_the_same_crystal():
    atoms = atoms_of(random_system(2))
    potential = Predictor(small_potential(radial="direct"))
    before, after = potential(atoms), potential(turned(atoms))
    assert after["energy"][0] == pytest.approx(before["energy"][0], rel=1e-12)
    for name in ("force", "force_mag"):
        norms = [np.linalg.norm(single[name][0], axis=1) for single in (before, after)]
        np.testing.assert_allclose(*norms, atol=1e-12)
    cell = turned(atoms).cell.array
    np.testing.assert_allclose(np.triu(cell, 1), 0.0, atol=1e-12)


def test_read_back(tmp_path):
    made = write_data(tmp_path / "x.data", atoms_of(random_system(3)), ("O", "Ni"))
    assert (
        "\nAtoms # spin\n" in (tmp_path / "x.data").read_text()
    )  # the hint that LAMMPS compares, word by word
    data = dpdata.System(
        str(tmp_path / "x.data"), fmt="lammps/lmp", type_map=["O", "Ni"], atom_style="spin"
    ).data
    np.testing.assert_allclose(data["cells"][0], made.cell.array, atol=1e-12)
    np.testing.assert_allclose(data["coords"][0], made.positions, atol=1e-12)
    np.testing.assert_allclose(data["spins"][0], made.get_initial_magnetic_moments(), atol=1e-12)
    assert [["O", "Ni"][t] for t in data["atom_types"]] == made.get_chemical_symbols()


def test_moments_in_a_column(tmp_path):
    atoms = atoms_of(random_system(3))
    expected = write_data(tmp_path / "magmoms", atoms, ("O", "Ni"))
    atoms.arrays["spin"] = atoms.arrays.pop("initial_magmoms")
    made = write_data(tmp_path / "column", atoms, ("O", "Ni"))
    moments = made.get_initial_magnetic_moments()
    np.testing.assert_array_equal(moments, expected.get_initial_magnetic_moments())
    assert (tmp_path / "column").read_text() == (tmp_path / "magmoms").read_text()


def test_fm():
    fm, lengths = np.array([[1.0, 2.0, 3.0], [4.0, 0.0, 0.0]]), np.array([2.0, 0.0])
    np.testing.assert_allclose(force_mag_from_fm(fm, lengths), [[HBAR / 2, HBAR, 1.5 * HBAR], [0, 0, 0]])


def test_what_is_missing(tmp_path):
    with pytest.raises(InputError, match="no type for Ni"):
        write_data(tmp_path / "x.data", atoms_of(random_system(3)), ("O",))
    assert not (tmp_path / "x.data").exists()


@pytest.mark.parametrize(("name", "count"), [("nio4", 4), ("nio32", 32)])
def test_the_example_is_the_antiferromagnet(name, count):
    path = PROJECT / "examples" / "lammps" / f"{name}.data"
    data = dpdata.System(str(path), fmt="lammps/lmp", type_map=["Ni", "O"], atom_style="spin").data
    spin = data["spins"][0][data["atom_types"] == 0]
    assert len(data["coords"][0]) == count
    assert np.linalg.norm(spin.sum(0)) < 0.2 * len(spin)
    assert np.linalg.norm(spin, axis=1).min() > 1.5
