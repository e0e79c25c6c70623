"""Frames of a file as configurations."""

import ase.io
import numpy as np
import pytest

from spinpot.core.errors import InputError
from spinpot.labels.labellers.hamiltonian import HamiltonianLabeller
from spinpot.labels.recipe import configurations, recipe_of
from spinpot.labels.run import label
from support.in_process import run_here
from support.nio_calculator import nio_atoms


@pytest.fixture
def frames(tmp_path):
    """Six frames of NiO with random displacements and moments, as a dynamics writes them."""
    random, made = np.random.default_rng(0), []
    for _ in range(6):
        atoms = nio_atoms()
        spin = atoms.get_initial_magnetic_moments()
        atoms.positions += random.normal(scale=0.05, size=atoms.positions.shape)
        atoms.arrays["spin"] = spin + random.normal(scale=0.1, size=spin.shape) * spin.any(axis=1)[:, None]
        atoms.arrays.pop("initial_magmoms")
        made.append(atoms)
    ase.io.write(tmp_path / "run.extxyz", made)
    return made


def drawn(tmp_path, seed=0, **settings):
    still = {"displacement": [0.0, 0.0], "tilt": [0.0, 0.0], "turn": False}
    file = str(tmp_path / "run.extxyz")
    recipe = recipe_of({**still, "systems": {"hot": {"trajectory": file, "frames": 4, **settings}}})
    assert not recipe.needs_structure()
    return configurations(recipe, None, seed)


def number_in(frames, one):
    """The frame that a configuration is."""
    (number,) = (
        k for k, own in enumerate(frames) if np.allclose(own.positions, one.atoms.positions, atol=1e-7)
    )
    np.testing.assert_allclose(one.moments, frames[number].arrays["spin"], atol=1e-7)
    np.testing.assert_allclose(one.atoms.cell.array, frames[number].cell.array, atol=1e-7)
    return number


def test_frames_are_drawn_at_random_and_stay_when_more_are_wanted(frames, tmp_path):
    few, many = drawn(tmp_path), drawn(tmp_path, frames=6)
    assert [one.name for one in few] == [f"hot/{number:04d}" for number in range(4)]
    numbers = [number_in(frames, one) for one in many]
    assert sorted(numbers) == [0, 1, 2, 3, 4, 5]
    assert [number_in(frames, one) for one in few] == numbers[:4]
    assert [number_in(frames, one) for one in drawn(tmp_path, seed=3, frames=6)] != numbers
    magnetic = np.array(few[0].atoms.get_chemical_symbols()) == "Ni"
    np.testing.assert_array_equal(few[0].constrained, magnetic)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frames": 7}, r"hot\.frames=7: expected at most 6, the frames of"),
        ({"tilt": [0.0, 30.0]}, r"hot\.tilt=.*: expected its default: the frames of a trajectory"),
        ({"supercell": [2, 1, 1]}, r"hot\.supercell=.*: expected its default"),
        ({"constrained": ["O"]}, r"hot\.constrained=.*: expected elements with moments, without O"),
        ({"trajectory": "nowhere.xyz"}, r"nowhere\.xyz: no such file"),
    ],
)
def test_what_contradicts_a_trajectory_is_refused(frames, tmp_path, settings, message):
    with pytest.raises(InputError, match=message):
        drawn(tmp_path, **settings)


def test_moments_of_length_1_are_converted_first(frames, tmp_path):
    for atoms in frames:
        spin = atoms.arrays["spin"]
        spin /= np.where(spin.any(axis=1), np.linalg.norm(spin, axis=1), 1.0)[:, None]
    ase.io.write(tmp_path / "run.extxyz", frames)
    with pytest.raises(InputError, match=r"--moment-unit mu_B(.|\n)*`spinpot prepare .*run\.extxyz FOLDER`"):
        drawn(tmp_path)
    converted = ("run.extxyz", "converted", "--moment-unit", "mu_B")
    assert run_here("prepare_data.py", *converted, cwd=tmp_path).returncode == 0
    assert len(drawn(tmp_path, trajectory=str(tmp_path / "converted"))) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda atoms: atoms.set_pbc((True, True, False)), "is not periodic in all three directions"),
        (lambda atoms: atoms.arrays["spin"].fill(0.0), "has no moments"),
        (lambda atoms: atoms.positions.fill(np.nan), r"run\.extxyz.* nan .*frames looked at have NaN"),
    ],
)
def test_frames_that_cannot_be_labelled_are_refused(frames, tmp_path, change, message):
    for atoms in frames:
        change(atoms)
    ase.io.write(tmp_path / "run.extxyz", frames)
    with pytest.raises(InputError, match=message):
        drawn(tmp_path)


def test_a_file_that_has_grown_is_refused(frames, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    still = {"displacement": [0.0, 0.0], "tilt": [0.0, 0.0], "turn": False}
    recipe = recipe_of({**still, "systems": {"hot": {"trajectory": "run.extxyz", "frames": 2}}})
    label(HamiltonianLabeller("NiO"), recipe, "labels", report=False)
    ase.io.write("run.extxyz", frames + frames[:3])
    begun = (tmp_path / "labels" / "settings.json").read_text()
    message = r"^run\.extxyz has changed: it had 6 frames when output=labels was started, and has 9 now"
    with pytest.raises(InputError, match=message):
        label(HamiltonianLabeller("NiO"), recipe, "labels", report=False)
    assert (tmp_path / "labels" / "settings.json").read_text() == begun
    ase.io.write("run.extxyz", frames)
    more = recipe_of({**still, "systems": {"hot": {"trajectory": "run.extxyz", "frames": 5}}})
    own = label(HamiltonianLabeller("NiO"), more, "labels", report=False)
    assert len(own.labelled("hot")) == 5


@pytest.mark.parametrize("everywhere", [True, False])
def test_induced_moments_are_held_unless_the_recipe_names_others(everywhere, frames, tmp_path):
    for atoms in frames:
        atoms.arrays["spin"][atoms.numbers == 8] = [0.0, 0.01, 0.02]
    ase.io.write(tmp_path / "run.extxyz", frames)
    assert all(one.constrained.all() for one in drawn(tmp_path))
    still = {"displacement": [0.0, 0.0], "tilt": [0.0, 0.0], "turn": False}
    nickel = {"constrained": ["Ni"]}
    system = {"trajectory": str(tmp_path / "run.extxyz"), "frames": 4}
    whole, own = (nickel, {}) if everywhere else ({}, nickel)
    for one in configurations(recipe_of({**still, **whole, "systems": {"hot": {**system, **own}}}), None, 0):
        np.testing.assert_array_equal(one.constrained, one.atoms.numbers == 28)
        np.testing.assert_allclose(one.moments[one.atoms.numbers == 8], [[0.0, 0.01, 0.02]] * 2, atol=1e-7)
