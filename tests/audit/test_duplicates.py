"""Frames that are there twice are found in spite of images, those that only look alike are not."""

from dataclasses import replace

import numpy as np
import pytest

from spinpot.audit.duplicates import SAME, duplicates
from spinpot.data.prepare import select
from support.frames import random_system, with_random_labels


@pytest.fixture
def made():
    return with_random_labels(random_system(1, 6), 1)


def test_none(made):
    assert duplicates([made]) == []


def test_within_a_system_and_in_another_image(made):
    twice = select(made, np.array([0, 1, 2, 1]))
    coord = twice.coord.copy()
    coord[3, 2] += twice.box[3, 0] - 2 * twice.box[3, 1]
    (found,) = duplicates([replace(twice, coord=coord)])
    assert (found.first, found.second, found.frames) == ("random1", "random1", [(1, 3)])
    assert found.of_second == 1
    assert found.apart == 0


def test_between_systems_with_energies_that_contradict(made):
    other = replace(select(made, np.array([4, 2])), name="validation")
    other = replace(other, energy=other.energy + np.array([0, 0.5]))
    (found,) = duplicates([made, other])
    assert (found.first, found.second, found.frames) == ("random1", "validation", [(2, 1), (4, 0)])
    assert found.apart == pytest.approx(0.5 / made.n_atoms)
    assert duplicates([made, replace(other, energy=None)])[0].apart is None


@pytest.mark.parametrize("name", ["coord", "spin", "box"])
def test_a_difference_in_anything_counts(made, name):
    twice = select(made, np.array([0, 0]))
    changed = getattr(twice, name).copy()
    changed[1, 0, 0] += 4 * SAME
    assert duplicates([twice])
    assert duplicates([replace(twice, **{name: changed})]) == []


def test_other_elements_are_other_frames(made):
    assert duplicates([made, replace(made, name="other", types=made.types[::-1])]) == []
