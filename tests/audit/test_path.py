"""Paths begin and end at their frames, and their rates are derivatives."""

import numpy as np

from spinpot.audit.path import Path, geodesic
from support.frames import random_system, system

STEP = 1e-6


def test_moments_go_along_the_great_circle():
    a, b = np.random.default_rng(0).normal(size=(2, 5, 3))
    t = np.linspace(0, 1, 7)
    spin, _, _ = geodesic(a, b, t)
    np.testing.assert_allclose(spin[[0, -1]], [a, b], atol=1e-12)
    length = np.linalg.norm(spin, axis=-1)
    np.testing.assert_allclose(np.diff(length, 2, axis=0), 0, atol=1e-12)
    direction = spin / length[..., None]
    turns = np.arccos((direction[1:] * direction[:-1]).sum(-1))
    np.testing.assert_allclose(turns, turns[:1].repeat(6, axis=0), atol=1e-9)
    np.testing.assert_allclose(
        turns.sum(axis=0), np.arccos((direction[0] * direction[-1]).sum(-1)), atol=1e-9
    )


def test_rates_of_moments():
    a, b = np.random.default_rng(1).normal(size=(2, 5, 3))
    t = np.array([0.2, 0.7])
    _, across, along = geodesic(a, b, t)
    spin = [geodesic(a, b, t + step)[0] for step in (STEP, -STEP)]
    np.testing.assert_allclose(across + along, (spin[0] - spin[1]) / (2 * STEP), atol=1e-8)
    middle = geodesic(a, b, t)[0]
    np.testing.assert_allclose((across * middle).sum(-1), 0, atol=1e-12)
    np.testing.assert_allclose(np.cross(along, middle), 0, atol=1e-12)


def test_a_moment_that_vanishes_keeps_its_direction():
    a, b = np.array([[0.0, 0, 0], [0, 1, 0]]), np.array([[0.0, 0, 2], [0, 0, 0]])
    spin, across, _ = geodesic(a, b, np.array([0.0, 0.5, 1.0]))
    np.testing.assert_allclose(spin[1], [[0, 0, 1], [0, 0.5, 0]], atol=1e-12)
    assert not across.any()


def test_pairs_take_the_nearest_image_and_their_rates_are_derivatives():
    made = random_system(3, 2)
    box = made.box * np.array([1.0, 1.03])[:, None, None]
    coord = made.coord.copy()
    coord[1, 0] += box[1, 2] - 2 * box[1, 0]  # another image of the same atom
    path = Path(system(made.type_map, made.types, box, coord, made.spin), 0, 1)
    i, j, shift = np.array([0, 1, 0]), np.array([1, 4, 0]), np.array([[0, 0, 0], [1, 0, -1], [0, 1, 0]])
    t = np.array([0.0, 0.4, 1.0])
    vectors, by_atoms, by_cell = path.pair_vectors(i, j, shift, t)
    np.testing.assert_allclose(vectors[0], coord[0][j] - coord[0][i] + shift @ box[0], atol=1e-12)
    near = [path.pair_vectors(i, j, shift, t + step)[0] for step in (STEP, -STEP)]
    np.testing.assert_allclose(by_atoms + by_cell, (near[0] - near[1]) / (2 * STEP), atol=1e-8)
    assert np.linalg.norm(vectors[-1] - vectors[0], axis=1).max() < 1.5
