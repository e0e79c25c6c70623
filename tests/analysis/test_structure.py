"""The structure to analyse is read, or refused with one message."""

import ase.io
import numpy as np
import pytest
from ase import Atoms

from spinpot.analysis.structure import magnetic, read_structure
from spinpot.core.errors import InputError
from support.folders import write_npy
from support.frames import random_system
from support.nio_calculator import nio_atoms

NI_O = ("O", "Ni")


def written(path, atoms, **columns):
    bare = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)
    for name, values in columns.items():
        bare.new_array(name, values)
    ase.io.write(path, bare, append=True)
    return str(path)


@pytest.mark.parametrize("column", ["spin", "magmoms"])
def test_extxyz(column, tmp_path):
    atoms = nio_atoms()
    moments = atoms.get_initial_magnetic_moments()
    for factor in (1.0, 0.5):
        source = written(tmp_path / "a.extxyz", atoms, **{column: factor * moments})
    read = read_structure(source, NI_O)
    assert read.get_initial_magnetic_moments() == pytest.approx(moments, abs=1e-7)
    assert read.positions == pytest.approx(atoms.positions, abs=1e-7)
    assert read.get_chemical_formula() == "Ni2O2"
    half = read_structure(f"{source}@1", NI_O)
    assert half.get_initial_magnetic_moments() == pytest.approx(0.5 * moments, abs=1e-7)


def test_a_folder_of_frames(tmp_path):
    system = random_system(3, n_frames=2)
    folder = write_npy(tmp_path / "system", system)
    for frame, source in ((0, str(folder)), (1, f"{folder}@1")):
        read = read_structure(source, NI_O)
        assert read.get_chemical_symbols() == ["Ni"] * 3 + ["O"] * 2
        assert read.positions == pytest.approx(system.coord[frame])
        assert read.get_initial_magnetic_moments() == pytest.approx(system.spin[frame])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere.extxyz", "no such file or folder"),
        ("bare.extxyz", "no magnetic moments. Expected a vector"),
        ("collinear.extxyz", "magmoms has one number per atom"),
        ("zero.extxyz", "all moments are zero"),
        ("iron.extxyz", "holds Fe, which the model does not know"),
        ("good.extxyz@7", "there are only 1 frames, numbered from 0"),
        ("text.abc", "could not be read .UnknownFileTypeError.*Expected extxyz"),
        ("broken.extxyz", "could not be read"),
        ("folder", "holds 2 systems"),
    ],
)
def test_one_message(source, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    atoms = nio_atoms()
    moments = np.array(atoms.get_initial_magnetic_moments())
    written(tmp_path / "good.extxyz", atoms, spin=moments)
    written(tmp_path / "bare.extxyz", atoms)
    written(tmp_path / "collinear.extxyz", atoms, magmoms=moments[:, 0])
    written(tmp_path / "zero.extxyz", atoms, spin=0 * moments)
    iron = atoms.copy()
    iron.symbols[0] = "Fe"
    written(tmp_path / "iron.extxyz", iron, spin=moments)
    (tmp_path / "text.abc").write_text("not a structure\n")
    (tmp_path / "broken.extxyz").write_text("4\nLattice\nNi 0\n")
    for name in ("a", "b"):
        write_npy(tmp_path / "folder" / name, random_system())
    with pytest.raises(InputError, match=message):
        read_structure(source, NI_O)


def test_moments_that_the_model_ignores_are_left_out():
    atoms = nio_atoms()
    moments = np.array(atoms.get_initial_magnetic_moments())
    atoms.set_initial_magnetic_moments(np.where(moments.any(axis=1, keepdims=True), moments, 0.01))
    np.testing.assert_array_equal(magnetic(atoms, ("Ni",)).get_initial_magnetic_moments(), moments)
    with pytest.raises(InputError, match="only atoms of other elements have moments"):
        magnetic(atoms, ("Fe",))
