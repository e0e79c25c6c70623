"""The facts about training frames: ranges of moments, and the cells of crystals."""

from dataclasses import replace

import numpy as np

from spinpot.models.checkpoint import save_potential
from spinpot.models.training_facts import TrainingFacts, crystals, training_facts
from support.checkpoints import load_potential
from support.frames import random_system, small_potential, system


def made(lengths, box=4.0):
    """Frames of one Ni and one O, with moments of the given lengths on Ni."""
    frames = len(lengths)
    spin = np.zeros((frames, 2, 3))
    spin[:, 0, 1] = lengths
    coord = np.tile([[0.0, 0, 0], [2.0, 2, 2]], (frames, 1, 1))
    return system(("Ni", "O"), [0, 1], np.tile(box * np.eye(3), (frames, 1, 1)), coord, spin)


def test_moments_of_the_elements_with_spin_over_all_systems():
    facts = training_facts([made([1.2, 1.3]), made([-0.4])], (True, False))
    assert facts == TrainingFacts({"Ni": [0.4, 1.3]}, {"NiO": [(4.0 * np.eye(3)).tolist()]})


def test_the_cells_that_differ_by_more_than_a_strain():
    boxes = [4.0, 8.0, 8.1, *range(12, 22)]
    (cells,) = crystals([made([1.0], box) for box in boxes]).values()
    assert [cell[0][0] for cell in cells] == [4, 8, 12, 13, 14, 15, 16, 17]


def test_the_cells_of_each_material():
    alone = system(("O", "Ni"), [1], 3.0 * np.eye(3)[None], np.zeros((1, 1, 3)), np.ones((1, 1, 3)))
    slab = replace(made([1.0], 20.0), pbc=(True, True, False))
    cells = crystals([*(made([1.0], float(box)) for box in range(4, 30)), alone, slab])
    assert list(cells) == ["NiO", "Ni"]
    assert cells["Ni"] == [(3.0 * np.eye(3)).tolist()]


def test_a_checkpoint_keeps_them_and_an_older_one_has_none(tmp_path):
    potential = small_potential()
    save_potential(tmp_path / "old.ckpt", potential)
    assert load_potential(tmp_path / "old.ckpt").facts is None
    potential.facts = training_facts([random_system(1, 3)], potential.spec.use_spin)
    save_potential(tmp_path / "new.ckpt", potential)
    loaded = load_potential(tmp_path / "new.ckpt")
    assert loaded.facts == potential.facts
    assert loaded.reordered(("O", "Ni")).facts == potential.facts


def test_facts_of_an_earlier_file():
    facts = {"moments": {"Ni": [0.4, 1.3]}, "largest_shortest_vector": 4.0, "cells": [np.eye(3).tolist()]}
    assert TrainingFacts.stored(facts) == TrainingFacts({"Ni": [0.4, 1.3]})
