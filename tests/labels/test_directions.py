"""Tilts, spirals and turns of moments."""

import numpy as np
import pytest

from spinpot.labels.directions import angles_between, draw_tilts, random_turn, relative_to, spiral

RING = np.array([[0, 1], [1, 2], [2, 3], [0, 3]])


def drawn(low, high, pairs=RING, count=4, seeds=range(40)):
    return [draw_tilts(np.random.default_rng(seed), count, pairs, low, high) for seed in seeds]


@pytest.mark.parametrize(("low", "high"), [(0.0, 5.0), (30.0, 60.0), (80.0, 85.0)])
def test_the_largest_angle_between_neighbours_is_drawn_from_the_range(low, high):
    largest = np.array([angles_between(one, RING).max() for one in drawn(low, high)])
    assert largest.min() >= low - 1e-6
    assert largest.max() <= high + 1e-6
    assert np.ptp(largest) > 0.6 * (high - low), "from small to large"


def test_two_moments_reach_every_angle():
    largest = [angles_between(one, RING[:1]).max() for one in drawn(0.0, 180.0, RING[:1], 2, range(200))]
    counts, _ = np.histogram(largest, np.linspace(0, 180, 7))
    assert counts.min() >= 15


def test_no_tilt_is_the_axis():
    for one in drawn(0.0, 0.0):
        np.testing.assert_array_equal(one, np.tile([0.0, 0.0, 1.0], (4, 1)))


@pytest.mark.parametrize("base", [[0, 0, 1], [0, 0, -1], [1, 0, 0], [1, -2, 0.5]])
def test_directions_are_relative_to_a_base(base):
    base = np.array([base]) / np.linalg.norm(base)
    tilted = np.array([[np.sin(0.3), 0.0, np.cos(0.3)]])
    np.testing.assert_allclose(relative_to(base, np.array([[0.0, 0.0, 1.0]])), base, atol=1e-12)
    angle = np.arccos((relative_to(base, tilted) * base).sum())
    assert angle == pytest.approx(0.3)


def test_a_spiral_turns_moments_by_its_phases():
    base = np.tile([0.6, 0.0, 0.8], (3, 1))
    turned = spiral(base, np.radians([0.0, 90.0, 180.0]), base[0])
    np.testing.assert_allclose(angles_between(turned, np.array([[0, 1], [0, 2]])), [90.0, 180.0], atol=1e-6)


def test_a_common_turn_keeps_angles_and_has_no_favourite():
    base = drawn(0.0, 90.0, seeds=[1])[0]
    turned = [random_turn(np.random.default_rng(seed), base) for seed in range(300)]
    for one in turned[:5]:
        np.testing.assert_allclose(one @ one.T, base @ base.T, atol=1e-12)
    assert np.abs(np.mean(turned, axis=0)).max() < 0.2
