"""Cells that are periodic along only some vectors."""

import itertools

import numpy as np
import pytest

from spinpot.data.cell import completed, directions, flat_cells, nearest_image, with_vacuum

BOX = np.array(
    [[[4.6, 0.3, 0.0], [0.4, 4.6, -0.2], [-0.3, 0.5, 4.6]], [[4.5, 0.3, 0.1], [0.4, 4.7, 0], [0, 0, 5]]]
)


@pytest.mark.parametrize("pbc", list(itertools.product([True, False], repeat=3)), ids=str)
def test_other_vectors_are_unit_normals(pbc):
    periodic = np.array(pbc)
    made = completed(BOX, pbc)
    np.testing.assert_array_equal(made[:, periodic], BOX[:, periodic])
    free = made[:, ~periodic]
    np.testing.assert_allclose(
        free @ made.transpose(0, 2, 1), np.broadcast_to(np.eye(3)[~periodic], free.shape), atol=1e-14
    )
    nonsense = np.where(periodic[:, None], BOX, np.array([0.1, 0.0, 0.0]))
    np.testing.assert_array_equal(completed(nonsense, pbc), made)


def test_a_crystal_is_left_alone():
    assert completed(BOX, (True, True, True)) is BOX


def test_images_are_counted_along_periodic_vectors_alone():
    step = np.array([0.7, 0.7, -1.6])
    np.testing.assert_allclose(nearest_image(step, (True, False, True)), [-0.3, 0.7, 0.4])


def test_flat_cells():
    flat = BOX.copy()
    flat[1, 2] = flat[1, 0] - flat[1, 1]
    assert flat_cells(flat, (True, True, True)).tolist() == [False, True]
    assert flat_cells(flat, (True, True, False)).tolist() == [False, False]
    flat[0, 1] = 0.0
    assert flat_cells(flat, (False, True, False)).tolist() == [True, False]
    assert flat_cells(0.0 * flat, (False, False, False)).tolist() == [False, False]


def test_vacuum_keeps_atoms_from_images():
    coord = np.array([[[0.0, 0, 0], [1, 2, 50]], [[0.0, 0, -3], [1, 2, 8]]])
    made = with_vacuum(BOX, coord, (True, True, False))
    normal = np.cross(BOX[:, 0], BOX[:, 1])
    normal /= np.linalg.norm(normal, axis=1)[:, None]
    height = np.einsum("fa,fna->fn", normal, coord)
    np.testing.assert_allclose(made[:, 2], normal * (np.ptp(height, axis=1).max() + 30.0), rtol=1e-12)
    np.testing.assert_array_equal(made[:, :2], BOX[:, :2])


def test_in_words():
    said = [directions(pbc) for pbc in itertools.product([True, False], repeat=3)]
    assert said[1:4] == ["along a and b", "along a and c", "along a"]
    assert said[-1] == "in no direction"
