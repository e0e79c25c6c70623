"""Labellers that need no other code."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from spinpot.core.errors import InputError
from spinpot.labels.configuration import Configuration
from spinpot.labels.label import FrameError
from spinpot.labels.labellers.command import CommandLabeller
from spinpot.labels.labellers.hamiltonian import HamiltonianLabeller
from spinpot.labels.recipe import configurations, recipe_of
from support.labellers import alloy, structure


def nickel_oxide() -> Configuration:
    own = {"supercell": [2, 2, 2], "moments": {"Ni": 1.9, "O": 0}, "spirals": [[0.5, 0.5, 0.5]], "frames": 1}
    recipe = recipe_of({"tilt": [60.0, 60.0], "displacement": [0.1, 0.1], "systems": {"NiO": own}})
    return configurations(recipe, structure(name="NiO", crystalstructure="rocksalt", a=4.17), 0)[0]


def moved(one: Configuration, atom: int, step: float) -> Configuration:
    atoms = one.atoms.copy()
    atoms.positions[atom, 1] += step
    return replace(one, atoms=atoms)


def turned(one: Configuration, atom: int, step: float) -> Configuration:
    moments = one.moments.copy()
    moments[atom, 1] += step
    return replace(one, moments=moments)


def strained(one: Configuration, _: int, step: float) -> Configuration:
    atoms = one.atoms.copy()
    deformation = np.eye(3)
    deformation[0, 1] = step
    atoms.set_cell(atoms.cell.array @ deformation.T, scale_atoms=True)
    return replace(one, atoms=atoms)


CHANGES = {
    "forces": (moved, lambda label, atom: label.forces[atom, 1]),
    "magnetic forces": (turned, lambda label, atom: label.magnetic_forces[atom, 1]),
    "virial": (strained, lambda label, _: label.virial[0, 1]),
}


@pytest.mark.parametrize("quantity", CHANGES)
@pytest.mark.parametrize(("name", "made"), [("NiO", nickel_oxide), ("alloy", lambda: alloy(1)[0])])
def test_labels_of_a_hamiltonian_are_its_derivatives(name, made, quantity, tmp_path):
    labeller, one = HamiltonianLabeller(name), made()
    change, label_of = CHANGES[quantity]
    atom = int(np.argmax(one.constrained))
    energies = [labeller.label(change(one, atom, step), tmp_path).energy for step in (-1e-4, 1e-4)]
    found = label_of(labeller.label(one, tmp_path), atom)
    assert found == pytest.approx(-(energies[1] - energies[0]) / 2e-4, rel=1e-5, abs=1e-7)
    assert abs(found) > 1e-4, "there is something to be seen"


ANSWER = """\
cat configuration.xyz > labelled.xyz
sed -i '1,2!s/$/ 0 0 -1.5 0.25 0 0/; 2s/constrained:L:1/&:forces:R:3:mforce:R:3 energy=-3.5/' labelled.xyz
"""


def iron() -> Configuration:
    atoms = Atoms("FeNi", positions=[[0, 0, 0], [1.4, 1.4, 1.4]], cell=[2.8, 2.8, 2.8], pbc=True)
    moments = np.array([[0.0, 2.2, 0.0], [0.0, 0.0, 0.6]])
    return Configuration("FeNi/0000", atoms, moments, np.array([True, True]))


def answered(tmp_path, command, **options):
    return CommandLabeller(command, **options).label(iron(), tmp_path)


def test_a_command_answers(tmp_path):
    label = answered(tmp_path, ANSWER)
    assert label.energy == -3.5
    np.testing.assert_array_equal(label.moments, iron().moments)
    np.testing.assert_array_equal(label.forces, [[0, 0, -1.5]] * 2)
    np.testing.assert_array_equal(label.magnetic_forces, [[0.25, 0, 0]] * 2)
    assert label.virial is None


def test_the_unit_of_the_moments_is_in_the_provenance():
    made = [CommandLabeller("code", moment_unit=unit).provenance() for unit in ("mu_B", "direction")]
    assert made[0] != made[1], "or a folder would mix them"


def test_messages_name_the_settings_of_the_command(tmp_path):
    one = replace(iron(), moments=np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    with pytest.raises(FrameError, match=r"give label\.moment_unit=mu_B"):
        CommandLabeller(ANSWER).label(one, tmp_path)
    label = CommandLabeller(ANSWER, moment_unit="mu_B").label(one, tmp_path)
    np.testing.assert_array_equal(label.moments, one.moments)
    with pytest.raises(FrameError, match=r"label\.columns\.force_mag=torque: .* has no such name"):
        answered(tmp_path, ANSWER, columns={"force_mag": "torque"})
    without = ANSWER + "sed -i 's/spin:R:3/placed:R:3/' labelled.xyz"
    with pytest.raises(
        FrameError, match=r"name another column: label\.columns\.spin=NAME.*write zero vectors"
    ):
        answered(tmp_path, without)


def test_columns_of_other_names(tmp_path):
    other = ANSWER.replace("mforce", "torque")
    with pytest.raises(FrameError, match=r"labelled\.xyz has no force_mag"):
        answered(tmp_path, other)
    label = answered(tmp_path, other, columns={"force_mag": "torque"})
    np.testing.assert_array_equal(label.magnetic_forces, [[0.25, 0, 0]] * 2)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("echo SCF; echo no licence >&2; exit 7", "the command ended with exit code 7: no licence"),
        ("exit 7", "the command ended with exit code 7, and printed nothing"),
        ("echo fine", r"the command wrote no labelled\.xyz: fine"),
        ("echo nonsense > labelled.xyz", r"^labelled\.xyz"),
        (ANSWER + "sed -i 's/^Fe/Co/' labelled.xyz", "other atoms: Co Ni, expected Fe Ni, in this order"),
        (ANSWER + "sed -i 's/^Fe *0.0000/Fe 0.1000/' labelled.xyz", r"atom 0 has moved by 0\.1 Å"),
        (ANSWER + "sed -i 's/Lattice=\"2.8/Lattice=\"2.9/' labelled.xyz", "another cell"),
        (ANSWER + "cat labelled.xyz labelled.xyz > t; mv t labelled.xyz", "holds 2 frames, expected one"),
        (ANSWER + "sed -i 's/energy=-3.5//' labelled.xyz", "has no energy"),
    ],
)
def test_what_is_wrong_with_an_answer_is_said(tmp_path, command, message):
    with pytest.raises(FrameError, match=message):
        answered(tmp_path, command)


def test_an_atom_in_another_image_is_the_same(tmp_path):
    command = ANSWER + "sed -i 's/^Ni *1.4000/Ni -1.4000/' labelled.xyz"
    assert answered(tmp_path, command).energy == -3.5


def test_a_command_that_takes_too_long_is_ended_with_all_it_started(tmp_path):
    command = "echo started; (sleep 0.6; touch late) & sleep 30"
    with pytest.raises(FrameError, match=r"took longer than 0\.2 s: started"):
        answered(tmp_path, command, time_limit=0.2)
    with pytest.raises(FrameError, match="wrote no"):
        answered(tmp_path, "sleep 0.8")
    assert not (tmp_path / "late").exists()


@pytest.mark.parametrize("command", ["sh -c true", "X=1 sh", "(cd . && sh)", "$SPINPOT_START/code.sh --fast"])
def test_commands_that_the_shell_finds(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code.sh").write_text("#!/bin/sh\n")
    (tmp_path / "code.sh").chmod(0o755)
    CommandLabeller(command).check([iron()])


@pytest.mark.parametrize(
    ("command", "message"),
    [("", "label.command=: expected a command"), ("$SPINPOT_START/code.sh", "there is no .SPINPOT_START")],
)
def test_commands_that_it_does_not_find(command, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        CommandLabeller(command).check([iron()])


@pytest.mark.parametrize(
    ("options", "message"),
    [({"read_as": "vsap"}, "label.read_as=vsap: expected one of auto"), ({"time_limit": 0.0}, "seconds > 0")],
)
def test_settings_of_a_command_that_make_no_sense(options, message):
    with pytest.raises(InputError, match=message):
        CommandLabeller("true", **options)
