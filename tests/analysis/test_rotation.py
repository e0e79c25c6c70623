"""Rotated moments of NiO give the energies and torques expected from exchange and symmetry."""

import numpy as np
import pytest

from spinpot.analysis.rotation import Settings, harmonics, rotation
from spinpot.core.errors import InputError
from spinpot.data import nio
from support.folders import write_npy
from support.frames import system
from support.nio_calculator import NiOCalculator, nio_atoms

DIPOLE = 0.3e-3
"""eV, well above what dipoles contribute to a turn."""


def turn(structure=None, /, **settings):
    structure = nio_atoms() if structure is None else structure
    return rotation(NiOCalculator(), structure, Settings(**settings)).numbers


def test_a_sublattice_against_the_other():
    """Turning one of two sublattices by 180° breaks 6 bonds J2, and turns 6 of the 12 bonds J1."""
    found = turn(points=12)
    assert found["atoms"] == [0]  # the sublattice has a single atom here
    energy = np.array(found["energy"])
    angle = np.radians(found["angle"])
    expected = 6 * (nio.J1 + nio.J2) * (1 - np.cos(angle))
    np.testing.assert_allclose(energy - energy[0], expected, atol=DIPOLE)
    np.testing.assert_allclose(found["torque"], -6 * (nio.J1 + nio.J2) * np.sin(angle), atol=DIPOLE)
    assert found["torque_error"] < 1e-7
    assert found["cosines"][1] == pytest.approx(-6 * (nio.J1 + nio.J2), abs=DIPOLE)


def test_one_moment_alone():
    """In a large cell all 12 + 6 neighbours of an atom are others; ferromagnetic bonds J1 cancel."""
    found = turn(nio_atoms(2 * np.eye(3)), atoms=5, points=4)
    assert np.ptp(found["energy"]) == pytest.approx(2 * 6 * nio.J2, abs=DIPOLE)


def test_all_moments_together_feel_no_exchange():
    """What is left is the dipoles' anisotropy, of period 180°."""
    found = turn(atoms=[0, 1], points=12)
    energy = np.array(found["energy"])
    assert np.ptp(energy) < DIPOLE
    np.testing.assert_allclose(energy[:6], energy[6:12], atol=1e-12)
    assert abs(found["cosines"][2]) > 1e-7


def test_harmonics_are_those_put_in():
    angle = 2 * np.pi * np.arange(12) / 12
    found = harmonics(1.5 - 2.0 * np.cos(angle) + 0.3 * np.sin(2 * angle))
    np.testing.assert_allclose(found.real, [1.5, -2.0, 0.0, 0.0, 0.0], atol=1e-14)
    np.testing.assert_allclose(found.imag, [0.0, 0.0, 0.3, 0.0, 0.0], atol=1e-14)


def test_a_table_beside_it(tmp_path):
    table = tmp_path / "dft.csv"
    lines = [
        f"{angle},{6 * (nio.J1 + nio.J2) * (1 - np.cos(np.radians(angle))) - 100}" for angle in (0, 60, 400)
    ]
    table.write_text("\n".join(["angle,energy", *lines]))
    found = turn(points=4, reference=str(table))["reference"]
    assert found["angle"] == [0.0, 60.0, 40.0]
    assert found["rmse_energy"] < DIPOLE
    assert "torque" not in found


def frames_of(angles, stray=0.0):
    """NiO with atom 0 turned about its axis, labelled by the Hamiltonian; the other moment stands off."""
    atoms = nio_atoms()
    axis = np.array(turn(points=4)["axis"])
    start = atoms.get_initial_magnetic_moments()
    spins, labels = [], []
    for angle in angles:
        spin = start.copy()
        # The axis is across the moment, so the turned moment is of two parts.
        across = np.cross(axis, start[0])
        spin[0] = np.cos(angle) * start[0] + np.sin(angle) * across
        spin[1] = np.cos(stray) * start[1] + np.sin(stray) * np.cross(axis, start[1])
        spins.append(spin)
        atoms.set_initial_magnetic_moments(spin)
        labels.append(
            nio.labels(nio.Structure(np.array([0, 0, 1, 1]), atoms.cell.array, atoms.positions, spin))
        )
    count = len(spins)
    return system(
        ("Ni", "O"),
        np.array([0, 0, 1, 1]),
        np.tile(atoms.cell.array, (count, 1, 1)),
        np.tile(atoms.positions, (count, 1, 1)),
        np.array(spins),
        **{name: np.array([label[name] for label in labels]) for name in ("energy", "force_mag")},
    )


def test_frames_beside_it(tmp_path):
    write_npy(tmp_path / "frames", frames_of(np.radians([10, 130, 300])))
    found = turn(points=4, reference=str(tmp_path / "frames"))["reference"]
    np.testing.assert_allclose(found["angle"], [10, 130, 300], atol=1e-6)
    assert found["offset"] == pytest.approx(0.0, abs=1e-9)
    assert found["rmse_energy"] < 1e-9
    assert found["rmse_torque"] < 1e-9


def test_frames_with_others_off(tmp_path):
    write_npy(tmp_path / "off", frames_of([0.5], stray=np.radians(10)))
    result = rotation(NiOCalculator(), nio_atoms(), Settings(points=4, reference=str(tmp_path / "off")))
    assert "other moments deviate by up to 10°" in " ".join(result.paragraphs)
    write_npy(tmp_path / "far", frames_of([0.5], stray=np.radians(80)))
    with pytest.raises(InputError, match="other moments deviate by up to 80° from the structure"):
        turn(points=4, reference=str(tmp_path / "far"))


REFUSED = {
    "atoms=2: expected one or several different indices of atoms with moments: atoms 0, 1": {"atoms": 2},
    r"atoms=.0, 4.: expected one or several": {"atoms": [0, 4]},
    "atoms=-1: expected": {"atoms": -1},
    "atoms=.0, 0.: expected one or several different indices": {"atoms": [0, 0]},
    r"atoms=..: expected one or several": {"atoms": []},
    "at least 4 angles": {"points": 3},
    "axis=.0, 0, 0.: expected a vector with a direction": {"axis": [0, 0, 0]},
    "no such file or folder": {"reference": "nowhere"},
}


@pytest.mark.parametrize("message", REFUSED)
def test_refused(message):
    with pytest.raises(InputError, match=message):
        turn(**REFUSED[message])


@pytest.mark.parametrize(
    "text", ["theta,E\n1,2\n", "angle,energy\n1,x\n", "angle,energy\n", "angle,energy\n1,nan\n"]
)
def test_a_table_that_cannot_be_read(text, tmp_path):
    (tmp_path / "dft.csv").write_text(text)
    with pytest.raises(
        InputError, match=r"Expected a table whose first line is|at least one line, and finite"
    ):
        turn(reference=str(tmp_path / "dft.csv"))


def test_frames_of_something_else(tmp_path):
    write_npy(
        tmp_path / "frames", system(("Ni",), np.zeros(1, int), np.eye(3)[None] * 9, *np.ones((2, 1, 1, 3)))
    )
    with pytest.raises(InputError, match="not those of the structure in the same order"):
        turn(reference=str(tmp_path / "frames"))
