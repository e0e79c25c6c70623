"""Configurations made from a structure and a recipe."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.neighborlist import neighbor_list

from spinpot.core.errors import InputError
from spinpot.labels.configuration import Configuration
from spinpot.labels.directions import angles_between
from spinpot.labels.neighbours import neighbours, shortest
from spinpot.labels.recipe import configurations, recipe_of
from spinpot.labels.structure import find_structure
from support.labellers import alloy, structure

IRON = {"name": "Fe", "crystalstructure": "bcc", "a": 2.8, "cubic": True}
NIO = {"name": "NiO", "crystalstructure": "rocksalt", "a": 4.17}
STILL = {"displacement": [0.0, 0.0], "tilt": [0.0, 0.0], "turn": False}


def made(built, seed=0, **settings):
    recipe = recipe_of({"systems": {"one": {"frames": 3, **settings}}})
    return configurations(recipe, structure(**built), seed)


def test_the_perfect_crystal():
    first, *_ = made(IRON, **STILL, moments={"Fe": 2.2})
    assert first.name == "one/0000"
    assert first.system == "one"
    np.testing.assert_allclose(first.atoms.positions, structure(**IRON).positions)
    np.testing.assert_allclose(first.moments, [[0, 0, 2.2]] * 2)
    assert first.constrained.all()
    assert not first.hold_lengths


def test_frames_stay_when_more_are_asked_for():
    settings = {"displacement": [0.0, 0.1], "tilt": [0.0, 60.0]}
    few, many = made(IRON, **settings, frames=2), made(IRON, **settings, frames=5)
    assert [one.as_plain() for one in few] == [one.as_plain() for one in many[:2]]
    assert few[0].as_plain() != made(IRON, seed=1, **settings)[0].as_plain()
    recipe = recipe_of({**settings, "systems": {"other": {"frames": 1}, "one": {"frames": 2}}})
    beside = configurations(recipe, structure(**IRON), 0)
    assert [one.as_plain() for one in beside[1:]] == [one.as_plain() for one in few]
    assert not np.allclose(beside[0].atoms.positions, few[0].atoms.positions), "each system draws for itself"


def test_a_configuration_as_plain_data():
    (one,) = alloy(1)
    again = Configuration.of_plain(one.as_plain())
    assert again.as_plain() == one.as_plain()
    np.testing.assert_array_equal(again.atoms.positions, one.atoms.positions)


def test_volume_strain_and_supercell():
    shear = [[0, 0.02, 0], [0.02, 0, 0], [0, 0, 0]]
    one, *_ = made(IRON, **STILL, supercell=[2, 1, 3], volume=0.94)
    assert len(one.atoms) == 12
    assert one.atoms.cell.volume == pytest.approx(0.94 * 6 * 2.8**3)
    one, *_ = made(IRON, **STILL, strain=shear)
    np.testing.assert_allclose(one.atoms.cell.array, 2.8 * (np.eye(3) + shear))
    first, second, _ = made(IRON, **STILL, random_strain=0.03)
    deformation = first.atoms.cell.array / 2.8 - np.eye(3)
    assert 0.0 < np.abs(deformation).max() <= 0.03
    np.testing.assert_allclose(deformation, deformation.T)
    assert not np.allclose(first.atoms.cell.array, second.atoms.cell.array)


def test_the_largest_displacement_is_drawn_from_the_range():
    perfect = made(IRON, **STILL, supercell=[2, 2, 2])[0].atoms.positions
    frames = made(IRON, frames=30, supercell=[2, 2, 2], displacement=[0.05, 0.15])
    largest = [np.linalg.norm(one.atoms.positions - perfect, axis=1).max() for one in frames]
    assert 0.05 <= min(largest) < 0.07
    assert 0.13 < max(largest) <= 0.15


def test_tilts_of_a_large_cell_stay_within_the_range():
    frames = made(IRON, frames=10, supercell=[2, 2, 2], tilt=[0.0, 85.0], displacement=[0.0, 0.1])
    perfect = made(IRON, **STILL, supercell=[2, 2, 2])[0].atoms
    pairs = neighbours(perfect, np.ones(16, dtype=bool))
    assert len(pairs) == 16 * 8 // 2 + 16 * 3 // 2, "two shells of bcc; twice 2.8 Å away is one atom"
    largest = [angles_between(one.moments, pairs).max() for one in frames]
    assert max(largest) <= 85.0 + 1e-6
    assert max(largest) > 60.0


def test_a_spiral_is_the_antiferromagnet_of_nio():
    cell = [[0, 1, 1], [1, 0, 1], [1, 1, 0]]
    one, *_ = made(NIO, **STILL, supercell=cell, moments={"Ni": 1.9, "O": 0}, spirals=[[0.5, 0.5, 0.5]])
    nickel = one.atoms.numbers == 28
    assert (one.constrained == nickel).all()
    i, j, distance = neighbor_list("ijd", one.atoms, 4.2)
    along = (one.moments[i] * one.moments[j]).sum(axis=1) / 1.9**2
    across_oxygen = nickel[i] & nickel[j] & (distance > 4.1)
    np.testing.assert_allclose(along[across_oxygen], -1.0, atol=1e-9)


def test_a_spiral_turns_moments_of_any_direction_behind_atoms_without_one():
    atoms = structure(**NIO)[[1, 0]]
    for direction in np.eye(3):
        atoms.set_initial_magnetic_moments([[0, 0, 0], 1.9 * direction])
        own = {**STILL, "frames": 1, "supercell": [2, 1, 1], "moments": {"O": 0}, "spirals": [[0.5, 0, 0]]}
        (one,) = configurations(recipe_of({"systems": {"one": own}}), atoms, 0)
        first, second = one.moments[one.constrained]
        np.testing.assert_allclose(first, -second, atol=1e-9)


def test_sublattices_turn_as_wholes():
    settings = {"sublattice_tilt": [50.0, 50.0], "tilt": [0.0, 0.0], "supercell": [2, 2, 2]}
    for one in made(IRON, **settings):
        moments = one.moments.reshape(8, 2, 3)
        np.testing.assert_allclose(moments, np.tile(moments[:1], (8, 1, 1)), atol=1e-9)
        assert angles_between(one.moments, np.array([[0, 1]])) == pytest.approx(50.0)


def test_elements_are_put_on_the_sites_at_random_but_the_same_in_a_system():
    frames = alloy(4)
    symbols = [one.atoms.get_chemical_symbols() for one in frames]
    assert symbols.count(symbols[0]) == 4
    assert sorted(symbols[0]) == ["Co"] * 3 + ["Fe"] * 3 + ["O"] * 2
    assert symbols[0] != alloy(1, seed=1)[0].atoms.get_chemical_symbols()
    lengths = np.linalg.norm(frames[0].moments, axis=1)
    for symbol, (low, high) in {"Fe": (2.0, 2.4), "Co": (1.4, 1.8), "O": (0.0, 0.0)}.items():
        own = lengths[np.array(symbols[0]) == symbol]
        assert low <= own.min()
        assert own.max() <= high


@pytest.mark.parametrize(
    ("built", "settings", "message"),
    [
        (
            IRON,
            {"moments": {"Ni": 1.0}},
            "moments={'Ni': 1.0}: expected elements of the structure, without Ni",
        ),
        (NIO, {"moments": {"Ni": 1.9}}, "a length (μ_B) for O"),
        (IRON, {"moments": {"Fe": [2.4, 2.0]}}, "ranges [low, high]"),
        (NIO, {"moments": {"Ni": 1, "O": 0}, "constrained": ["O"]}, "elements with moments, without O"),
        (NIO, {"moments": {"Ni": 1, "O": 0}, "tilt": [0, 60]}, "or a larger supercell"),
        (IRON, {"spirals": [[0.5, 0, 0]]}, "whole numbers of turns in the supercell"),
        (IRON, {"displacement": [0.0, 1.3]}, "less than 1.21 Å"),
        (IRON, {"tilt": [0.0, 200.0]}, "tilt=[0.0, 200.0]: expected [low, high], two numbers from 0 to 180"),
        (IRON, {"tilt": [30.0]}, "two numbers"),
        (IRON, {"supercell": [0, 1, 1]}, "three whole numbers > 0"),
        (IRON, {"supercell": [1, 1]}, "three whole numbers > 0"),
        (IRON, {"elements": {"Fe": 1, "Co": 2}}, "add up to the 2 sites"),
        (IRON, {"elements": {"Fe": 1.5, "Co": 0.5}}, "whole numbers of atoms"),
        (IRON, {"elements": {"Fe": 1, "Xx": 1}}, "symbols of elements, without Xx"),
        (IRON, {"strain": [[0.1]]}, "(3, 3)"),
        (IRON, {"volume": -1.0}, "a number > 0"),
        (IRON, {"frames": -1}, "a whole number >= 0"),
        ({**IRON, "cubic": False}, {"sublattice_tilt": [0, 60], "supercell": [2, 2, 2]}, "of one sublattice"),
    ],
)
def test_what_contradicts_itself_is_said(built, settings, message):
    with pytest.raises(InputError) as error:
        made(built, **{"tilt": [0.0, 0.0], **settings})
    assert str(error.value).startswith("recipe.systems.one.")
    assert message in str(error.value)


def test_a_recipe_of_nothing():
    with pytest.raises(InputError, match="at least one, e"):
        configurations(recipe_of({"systems": {}}), structure(**IRON), 0)
    with pytest.raises(InputError, match="names of letters"):
        configurations(recipe_of({"systems": {"../up": {"frames": 1}}}), structure(**IRON), 0)


def test_a_structure_of_a_file(tmp_path):
    atoms = structure(**IRON)
    atoms.write(tmp_path / "iron.cif")
    found = find_structure(str(tmp_path / "iron.cif"), None)
    assert found.get_chemical_symbols() == ["Fe", "Fe"]
    assert not found.get_initial_magnetic_moments().any()
    atoms.arrays["spin"] = np.array([[2.0, 0, 0], [0, 1.0, 0]])
    atoms.write(tmp_path / "iron.xyz")
    found = find_structure(f"{tmp_path / 'iron.xyz'}@0", None)
    np.testing.assert_allclose(found.get_initial_magnetic_moments(), [[2.0, 0, 0], [0, 1.0, 0]])


def test_calculated_moments_of_a_file_are_an_order_too(tmp_path):
    atoms = bulk(**IRON)
    del atoms.arrays["initial_magmoms"]
    atoms.calc = SinglePointCalculator(atoms, energy=0.0, magmoms=[2.2, -2.2])
    atoms.write(tmp_path / "iron.xyz")
    found = find_structure(str(tmp_path / "iron.xyz"), None)
    np.testing.assert_allclose(found.get_initial_magnetic_moments(), [[0, 0, 2.2], [0, 0, -2.2]])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("none.cif", None, "no such file"),
        ("bad.cif", "nothing", "could not be read"),
        ("cluster.xyz", "2\n\nFe 0 0 0\nFe 0 0 2\n", "no cell that is periodic in all three directions"),
    ],
)
def test_a_structure_that_is_none(tmp_path, name, text, message):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        find_structure(str(tmp_path / name), None)


def test_a_structure_is_needed():
    with pytest.raises(InputError, match="Give structure=FILE"):
        find_structure(None, None)
    with pytest.raises(InputError, match=r"arguments of ase\.build\.bulk"):
        find_structure(None, {"name": "Fe", "crystal": "bcc"})


def test_the_shortest_distance_is_over_images_too():
    assert shortest(structure(**IRON)) == pytest.approx(2.8 * np.sqrt(3) / 2)
    assert shortest(structure(name="Fe", crystalstructure="sc", a=2.5)) == pytest.approx(2.5)
