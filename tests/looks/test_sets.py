"""Messages about suspicious sets of a run; good sets cause none."""

from dataclasses import replace

import numpy as np
import pytest

from spinpot.data.duplicates import copies
from spinpot.data.systems import select
from spinpot.looks import units
from spinpot.looks.labels import close_looks, label_looks
from spinpot.looks.model import Watch
from spinpot.looks.sets import NEAREST_SAMPLE, look_at, look_at_frames, look_at_sets
from spinpot.models.training_facts import training_facts
from support.frames import random_system, small_potential, system
from support.nickel_oxide import primitive_nio

SPEC = small_potential().spec


@pytest.fixture(scope="module")
def sets():
    frames = primitive_nio()
    return {"train": [select(frames, np.arange(20))], "validation": [select(frames, np.arange(20, 30))]}


def said(sets):
    watch = Watch(SPEC, training_facts(sets["train"], SPEC.use_spin))
    found = copies([own for systems in sets.values() for own in systems])
    return list(look_at_sets(sets, watch, found))


def test_nothing_is_said_of_good_frames(sets):
    assert said(sets) == []
    assert list(look_at(sets["validation"], Watch(SPEC, None))) == []


def changed(sets, **arrays):
    """The same sets with all their training frames' arrays changed by functions."""
    (train,) = sets["train"]
    return {**sets, "train": [replace(train, **{n: how(getattr(train, n)) for n, how in arrays.items()})]}


@pytest.mark.parametrize(
    ("arrays", "line"),
    [
        (
            {"energy": np.zeros_like},
            "look: energy is zero in a whole frame; do not write missing labels as zeros",
        ),
        ({"spin": lambda a: 1e-20 * a}, "look: moments not in μ_B, or not magnetic? "),
        (
            {"spin": lambda a: a / np.maximum(np.linalg.norm(a, axis=-1, keepdims=True), 1e-9)},
            "look: directions instead of moments in μ_B? (",
        ),
        (
            {"coord": lambda a: a / 0.529177, "box": lambda a: a / 0.529177},
            "look: coordinates and cell in Bohr? (",
        ),
        ({"energy": lambda a: np.round(a, 1)}, "look: energies are stored too coarsely for their spread"),
    ],
)
def test_each_suspicion(sets, arrays, line):
    assert any(one.startswith(line) for one in said(changed(sets, **arrays))), said(changed(sets, **arrays))


def test_the_same_of_many_systems_is_one_line(sets):
    (train,) = sets["train"]
    many = [replace(train, name=f"s{k}", energy=np.zeros(20)) for k in range(9)]
    (line,) = [one for one in said({**sets, "train": many}) if one.startswith("look: energy is zero")]
    assert line.endswith("(s0: 20 of 20 frames, s1: 20 of 20 frames, s2: 20 of 20 frames and 6 more)")


def test_distances_of_many_systems_are_looked_at_in_some(sets, monkeypatch):
    (train,) = sets["train"]
    few = select(train, np.arange(2))
    looked_at = []
    ratio = units.neighbour_ratio
    monkeypatch.setattr(units, "neighbour_ratio", lambda *one: looked_at.append(one) or ratio(*one))
    bohr = replace(few, box=few.box * 1.89, coord=few.coord * 1.89)
    many = [replace(bohr, name=f"s{k}") for k in range(NEAREST_SAMPLE + 2)]
    assert any("in Bohr?" in line for line in look_at_frames(many))
    assert [frames for _, frames in looked_at] == [1] * (NEAREST_SAMPLE // 2 + 1)


def test_frames_that_are_in_an_earlier_set_too(sets):
    (train,), (validation,) = sets["train"], sets["validation"]
    shifted = replace(select(train, np.array([3, 5])), name="b")
    shifted = replace(shifted, coord=shifted.coord + 0.7)
    both = {**sets, "validation": [validation, shifted], "test": [replace(validation, name="c")]}
    assert said(both) == [
        "look: 2 of 12 frames of the validation set are also in the train set (equal within 0.0001 Å and "
        "μ_B), so that its errors are too small; spinpot prepare splits without duplicates (b: 2 of 2)",
        "look: 10 of 10 frames of the test set are also in the validation set (equal within 0.0001 Å and "
        "μ_B), so that its errors are too small; spinpot prepare splits without duplicates (c: 10 of 10)",
    ]


def test_moments_of_the_validation_set_beyond_those_of_training(sets):
    (validation,) = sets["validation"]
    longer = {**sets, "validation": [replace(validation, spin=1.2 * validation.spin)]}
    (line,) = said(longer)
    assert line.startswith("look: validation: |S| of Ni leaves the training range, ")


def test_an_element_of_the_validation_set_that_no_training_frame_has(sets):
    (train,) = sets["train"]
    without = replace(train, types=np.zeros_like(train.types))
    line = "look: validation: no training frame has O, so the model cannot describe it."
    assert line in said({**sets, "train": [without]})
    assert line not in said({**sets, "train": [without, train]})


def test_atoms_closer_than_any_bond():
    box = np.tile(8 * np.eye(3), (3, 1, 1))
    coord = np.array([[[0.0, 0, 0], [0.5, 0, 0]], [[0.0, 0, 0], [0.9, 0, 0]], [[0.0, 0, 0], [2.1, 0, 0]]])
    frames = system(("Ni", "O"), [0, 1], box, coord, np.ones((3, 2, 3)))
    (look,) = close_looks(frames, range(3))
    assert look.suspicion == "atoms closer than any bond"
    assert look.seen == "2 of 3 frames, made, coord, frame 0: atoms 0 (Ni) and 1 (O) are 0.5 Å apart"
    (look,) = close_looks(frames, range(0, 3, 2))
    assert look.seen.startswith("1 of 2 frames looked at, made, coord, frame 0: ")
    assert close_looks(frames, [2]) == []
    assert close_looks(replace(frames, type_map=("A", "B")), range(3)) == []


def test_short_bonds_are_bonds():
    """H₂, N₂ and the Cr₂ of a quintuple bond."""
    for element, length in (("H", 0.74), ("N", 1.10), ("Cr", 1.73)):
        frames = system((element,), [0, 0], 8 * np.eye(3), [[0.0, 0, 0], [length, 0, 0]], np.ones((2, 3)))
        assert close_looks(frames, [0]) == []


def test_some_frames_without_a_label(sets):
    force = random_system(1, 3).coord * [[[0.0]], [[1.0]], [[1.0]]]
    (look,) = label_looks(random_system(1, 3, force=force))
    assert look.seen == "1 of 3 frames"
