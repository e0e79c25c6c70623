"""Outliers are reported, ordinary scatter is not."""

from dataclasses import replace

import numpy as np
import pytest

from spinpot.audit.outliers import ENERGY, outliers, robust_deviations
from spinpot.data.systems import select
from spinpot.looks.labels import zero_labels
from support.frames import random_system, with_random_labels


@pytest.fixture
def made():
    return with_random_labels(random_system(1, 60), 1)


def test_ordinary_frames(made):
    assert outliers(made) == []
    assert zero_labels(made) == {}


def test_an_energy_and_a_force(made):
    energy, force = made.energy.copy(), made.force.copy()
    energy[5] -= 20
    force[9, 2, 1] = 1e4
    of_force, of_energy = outliers(replace(made, energy=energy, force=force))
    assert (of_energy.frame, of_energy.quantity, of_energy.unit) == (5, ENERGY, "eV from the median")
    assert of_energy.value == pytest.approx(-4, abs=0.5)
    assert (of_force.frame, of_force.quantity) == (9, "largest force")
    assert of_force.value == pytest.approx(1e4, rel=1e-3)


def test_frames_at_rest_do_not_stand_apart(made):
    force = made.force.copy()
    force[3] = 1e-9
    assert outliers(replace(made, force=force)) == []


def test_few_frames_and_missing_labels(made):
    energy = made.energy.copy()
    energy[5] = 1e3
    assert outliers(select(replace(made, energy=energy), np.arange(9))) == []
    assert outliers(replace(made, energy=None, force=None, force_mag=None)) == []


def test_zeros_in_place_of_labels(made):
    force = made.force.copy()
    force[[2, 5]] = 0
    zeros = replace(made, force=force, force_mag=0 * made.force_mag)
    assert zero_labels(zeros) == {"force": 2, "force_mag": 60}


def test_robust_deviations_are_those_of_a_normal_distribution():
    x = np.random.default_rng(0).normal(3, 2, size=20_000)
    assert robust_deviations(x).std() == pytest.approx(1, abs=0.03)
    np.testing.assert_array_equal(robust_deviations(np.array([1.0, 1, 1, 5])), 0)
