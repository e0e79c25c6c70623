"""extxyz, trajectories, databases and json: which columns and keys are read."""

from functools import partial

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect

from spinpot.core.errors import InputError
from spinpot.core.notes import Notes
from spinpot.data.readers import gathered
from spinpot.data.readers.find import read_frames
from spinpot.data.readers.reader import Wanted

FINAL = np.array([[0.0, 0.1, 1.2], [0.0, 0.0, -1.3]])
FORCES = np.array([[0.1, 0.2, 0.3], [-0.1, -0.2, -0.3]])
STRESS = np.array([1.0, 2.0, 3.0, 0.4, 0.5, 0.6]) * 1e-3


def iron(**results):
    """Two atoms with an initial guess of moments, and a calculation's results."""
    atoms = Atoms("Fe2", positions=[[0, 0, 0], [1.4, 1.4, 1.4]], cell=2.8 * np.eye(3), pbc=True)
    atoms.set_initial_magnetic_moments([[0, 0, 2.0], [0, 0, -2.0]])
    if results:
        atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def read(path, **wanted):
    """The systems, and what was said of them."""
    notes = Notes()
    return read_frames(path, "auto", Wanted(**wanted), notes), list(notes)


@pytest.mark.parametrize("file", ["a.xyz", "a.traj", "a.db", "a.json"])
def test_what_a_calculation_ended_with(file, tmp_path):
    path = tmp_path / file
    ase.io.write(path, [iron(energy=-2.0, forces=FORCES, magmoms=FINAL, stress=STRESS)] * 2)
    (system,), said = read(path)
    assert len(system) == 2
    np.testing.assert_allclose(system.spin[1], FINAL)
    np.testing.assert_allclose(system.force[0], FORCES)
    np.testing.assert_allclose(system.energy, -2.0)
    xx, yy, zz, yz, xz, xy = -(2.8**3) * STRESS
    np.testing.assert_allclose(system.virial[0], [[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    assert said == [
        f"initial_magmoms: not used; to read it, give --moments initial_magmoms ({path})",
        f"spin: read from magmoms, the final moments of the calculation ({path})",
        f"virial: read from stress ({path})",
    ]


@pytest.mark.parametrize("file", ["a.xyz", "a.traj", "a.json", "a.db"])
def test_initial_moments_where_there_are_no_others(file, tmp_path):
    path = tmp_path / file
    ase.io.write(path, iron(energy=-2.0))
    (system,), said = read(path)
    np.testing.assert_allclose(system.spin[0, :, 2], [2.0, -2.0])
    assert said == [f"spin: read from initial_magmoms, the initial moments ({path})"]


def test_what_a_database_keeps_beside_the_atoms(tmp_path):
    path = tmp_path / "a.db"
    bare = iron()
    bare.set_initial_magnetic_moments(None)
    with connect(path) as rows:
        rows.write(bare, REF_energy=-3.0, charge_state=2, data={"spin": FINAL, "mforce": 2 * FORCES})
    (system,), said = read(path)
    np.testing.assert_allclose(system.spin[0], FINAL)
    np.testing.assert_allclose(system.force_mag[0], 2 * FORCES)
    np.testing.assert_allclose(system.energy, [-3.0])
    assert said == [
        f"charge_state: not used; to read it, give --energy charge_state ({path})",
        f"spin: read from spin ({path})",
        f"energy: read from REF_energy ({path})",
        f"force_mag: read from mforce ({path})",
    ]


@pytest.mark.parametrize(
    ("columns", "key"),
    [
        ("force:R:3:spin:R:3:mforce:R:3", "energy"),
        ("REF_forces:R:3:spins:R:3:force_mag:R:3", "REF_energy"),
        ("forces:R:3:REF_magmom:R:3:REF_magforces:R:3", "free_energy"),
        ("dft_force:R:3:magmoms:R:3:magnetic_forces:R:3", "DFT_energy"),
    ],
)
def test_names_of_other_programs(columns, key, tmp_path):
    path = tmp_path / "train.xyz"
    path.write_text(
        f'1\nLattice="3 0 0 0 3 0 0 0 3" Properties=species:S:1:pos:R:3:{columns} {key}=-1.5 '
        'virials="1 2 3 2 5 6 3 6 9" pbc="T T T"\nFe 0 0 0 0.1 0.2 0.3 0 0 2.2 0.4 0.5 0.6\n'
    )
    (system,), _ = read(path)
    assert system.labels == ("energy", "force", "force_mag", "virial")
    np.testing.assert_allclose(system.force[0], [[0.1, 0.2, 0.3]])
    np.testing.assert_allclose(system.spin[0], [[0, 0, 2.2]])
    np.testing.assert_allclose(system.force_mag[0], [[0.4, 0.5, 0.6]])
    np.testing.assert_allclose(system.virial[0], [[1, 2, 3], [2, 5, 6], [3, 6, 9]])


@pytest.mark.parametrize("file", ["a.xyz", "a.traj", "a.json", "a.db"])
def test_free_energies_are_not_mixed_with_others(file, tmp_path):
    path = tmp_path / file
    ase.io.write(path, iron(energy=-2.0, free_energy=-2.1))
    with pytest.raises(InputError) as error:
        read(path)
    assert str(error.value) == (
        f"{path}, frame 0: energy and free_energy are both read as energy, but differ by up to 0.1. Name the "
        "one to read: --energy energy or --energy free_energy. Forces are the derivatives of free_energy, in "
        "ase's convention."
    )
    (system,), said = read(path, columns={"energy": "free_energy"})
    np.testing.assert_allclose(system.energy, [-2.1])
    assert f"energy: not used; to read it, give --energy energy ({path})" in said


def test_stress_of_three_and_six_atoms_is_no_column(tmp_path):
    for n in (3, 6):
        atoms = Atoms(
            f"Fe{n}", positions=2.5 * np.eye(n, 3) + np.arange(n)[:, None], cell=12 * np.eye(3), pbc=1
        )
        atoms.arrays["spin"] = np.tile([0, 0, 2.0], (n, 1))
        atoms.info["virial"] = np.diag([1.0, 2.0, 3.0])
        atoms.calc = SinglePointCalculator(atoms, stress=np.array([-1, -2, -3, 0, 0, 0]) / 12**3)
        ase.io.write(tmp_path / f"{n}.xyz", atoms)
        (system,), _ = read(tmp_path / f"{n}.xyz")
        np.testing.assert_allclose(system.virial[0], np.diag([1.0, 2.0, 3.0]), atol=1e-5)


def test_compressed_and_without_a_suffix(tmp_path):
    ase.io.write(tmp_path / "a.xyz.gz", iron(energy=-1.0))
    ase.io.write(tmp_path / "b.traj", iron(energy=-1.0))
    (tmp_path / "b.traj").rename(tmp_path / "relaxation")
    for name in ("a.xyz.gz", "relaxation"):
        (system,), _ = read(tmp_path / name)
        assert system.energy.tolist() == [-1.0]


@pytest.mark.parametrize("value", ["-1.0D+02", "none"])
def test_a_label_that_is_no_number(value, tmp_path):
    path = tmp_path / "a.xyz"
    path.write_text(
        f'1\nLattice="3 0 0 0 3 0 0 0 3" Properties=species:S:1:pos:R:3:spin:R:3 energy={value} pbc="T T T"\n'
        "Fe 0 0 0 0 0 2.2\n"
    )
    with pytest.raises(InputError) as error:
        read(path)
    assert str(error.value) == (
        f"{path}, frame 0: energy={value}: not a number. Expected one such as -1.5e2. Correct the file."
    )


def test_a_label_in_place_of_an_element(tmp_path):
    path = tmp_path / "a.xyz"
    path.write_text(
        '1\nLattice="3 0 0 0 3 0 0 0 3" Properties=species:S:1:pos:R:3:spin:R:3 pbc="T T T"\n'
        "Ni1 0 0 0 0 0 2\n"
    )
    with pytest.raises(InputError) as error:
        read(path)
    assert str(error.value) == (
        f"{path}, frame 0: Ni1 is not an element, and ase reads only elements. Write the element's symbol "
        "instead."
    )


def test_frames_of_large_sets_go_through_a_temporary_file(tmp_path, monkeypatch):
    path, rng = tmp_path / "a.xyz", np.random.default_rng(0)
    for number in range(11):
        atoms = iron()[: 1 + number % 3 % 2]
        atoms.set_initial_magnetic_moments(None)
        atoms.set_array("spin", rng.normal(size=(len(atoms), 3)))
        atoms.info["energy"] = -1.0 * number
        ase.io.write(path, atoms, append=True)
    in_memory, said = read(path)
    monkeypatch.setattr(gathered, "SAMPLE", 4)
    from_file, again = read(path)
    assert again == said
    assert [system.in_memory for system in (*in_memory, *from_file)] == [True, True, False, False]
    for one, other in zip(in_memory, from_file, strict=True):
        assert (one.name, one.elements) == (other.name, other.elements)
        for array in ("box", "coord", "spin", "energy"):
            np.testing.assert_array_equal(getattr(one, array), getattr(other, array))
    monkeypatch.setattr(gathered, "SAMPLE", 11)
    assert all(system.in_memory for system in read(path)[0])


def test_the_temporary_file_does_not_fit_on_the_disk(tmp_path, monkeypatch):
    ase.io.write(tmp_path / "a.xyz", [iron(energy=-2.0)] * 2)
    monkeypatch.setattr(gathered, "SAMPLE", 1)
    monkeypatch.setattr(gathered, "TemporaryFile", partial(open, "/dev/full", "r+b", 0))
    with pytest.raises(InputError, match=r"a\.xyz: .* the disk is full\. Make room there, or set TMPDIR"):
        read(tmp_path / "a.xyz")


def test_a_frame_that_is_cut_off_is_named(tmp_path):
    path = tmp_path / "a.xyz"
    ase.io.write(path, [iron()] * 3, format="extxyz")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(InputError) as refused:
        read(path)
    assert str(refused.value) == (
        f"{path}, frame 2: cannot be read (XYZError: ase.io.extxyz: Frame has 1 atoms, expected 2). Correct "
        "the file, or remove the frame."
    )
