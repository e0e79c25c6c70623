"""The facts about training frames: ranges of moments, and shortest lattice vectors."""

from dataclasses import replace

import numpy as np
import pytest
from ase.geometry import minkowski_reduce
from scipy.spatial.transform import Rotation

from spinpot.models.checkpoint import save_potential
from spinpot.models.training_facts import TrainingFacts, largest_shortest_vector, training_facts
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
    assert facts == TrainingFacts({"Ni": [0.4, 1.3]}, 4.0, [(4.0 * np.eye(3)).tolist()])


def test_the_largest_cells_that_differ_by_more_than_a_strain():
    boxes = [4.0, 8.0, 8.1, *range(12, 22)]
    cells = training_facts([made([1.0], box) for box in boxes], (True, True)).cells
    assert [cell[0][0] for cell in cells] == [21, 20, 19, 18, 17, 16, 15, 14]
    few = training_facts([made([1.0], box) for box in boxes[:3]], (True, True)).cells
    assert [cell[0][0] for cell in few] == [8.0, 4.0]


def test_the_shortest_vector_of_a_skewed_cell_is_none_of_its_rows():
    skewed = np.array([[4.0, 0, 0], [4.0 * 7, 1.5, 0], [0.3, 0.2, 9.0]])
    assert largest_shortest_vector(skewed[None]) == pytest.approx(1.5)


def test_the_largest_over_cells_whatever_their_order():
    cells = np.array([3.0, 5.0, 4.0])[:, None, None] * np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1.0]])
    assert largest_shortest_vector(cells) == pytest.approx(5.0)
    assert training_facts([made([1.0], 3.0), made([1.0], 6.0)], (True, True)).largest_shortest_vector == 6.0


def test_turned_cells_are_one_cell(monkeypatch):
    turned = Rotation.random(200, rng=0).as_matrix()
    rhombohedral = np.array([[6.0, 0, 6], [6, 6, 0], [0, 6, 6]]) + 8.0 * np.eye(3)
    cells, reduced = rhombohedral @ turned, []
    monkeypatch.setattr(
        "spinpot.models.training_facts.minkowski_reduce",
        lambda cell, pbc: reduced.append(cell) or minkowski_reduce(cell, pbc),
    )
    whole = minkowski_reduce(rhombohedral)[0]
    assert largest_shortest_vector(cells) == pytest.approx(np.linalg.norm(whole, axis=1).min(), rel=1e-11)
    assert len(reduced) == 1


def test_a_checkpoint_keeps_them_and_an_older_one_has_none(tmp_path):
    potential = small_potential()
    save_potential(tmp_path / "old.ckpt", potential)
    assert load_potential(tmp_path / "old.ckpt").facts is None
    potential.facts = training_facts([random_system(1, 3)], potential.spec.use_spin)
    save_potential(tmp_path / "new.ckpt", potential)
    loaded = load_potential(tmp_path / "new.ckpt")
    assert loaded.facts == potential.facts
    assert loaded.reordered(("O", "Ni")).facts == potential.facts


def test_what_is_no_crystal_tells_pairs_apart_as_far_as_it_reaches():
    frames = made([1.0], 3.0)
    box = frames.box.copy()
    box[:, 2] *= 0.1
    slab = replace(frames, box=box, pbc=(True, True, False))
    assert training_facts([slab], (True, True)).largest_shortest_vector == pytest.approx(3.0)
    coord = np.array([[[0.0, 0, 0], [3.0, 4.0, 0.0]]])
    cluster = system(("Ni",), [0, 0], np.zeros((1, 3, 3)), coord, 0.0 * coord)
    cluster = replace(cluster, pbc=(False, False, False))
    assert training_facts([cluster], (True,)).largest_shortest_vector == pytest.approx(10.0)
