"""Sublattices of moments, and rotations of moments."""

import numpy as np
import pytest
from ase import Atoms

from spinpot.analysis.moments import axis_of_turn, in_numbers, sublattices, turned
from spinpot.core.errors import InputError
from spinpot.core.vectors import transverse
from support.nio_calculator import nio_atoms


def test_sublattices_of_an_antiferromagnet():
    groups = sublattices(nio_atoms(2 * np.eye(3)))
    assert [len(group) for group in groups] == [16, 16]
    assert groups[0][0] == 0


def test_sublattices_by_element_and_direction():
    atoms = Atoms("NiFeNiNiO", positions=np.zeros((5, 3)))
    third = [np.array([np.cos(t), np.sin(t), 0.0]) for t in np.radians([0, 120, 240])]
    atoms.set_initial_magnetic_moments([third[0], third[0], third[1], third[2] + 0.1 * third[0], np.zeros(3)])
    assert [group.tolist() for group in sublattices(atoms)] == [[0], [1], [2], [3]]


def test_a_turn_is_right_handed():
    turned_x = turned(np.array([[2.0, 0.0, 0.0]]), np.array([0.0, 0.0, 1.0]), np.pi / 2)
    np.testing.assert_allclose(turned_x, [[0.0, 2.0, 0.0]], atol=1e-15)
    each = turned(np.tile([1.0, 0.0, 0.0], (2, 1)), np.array([0.0, 0.0, 1.0]), np.array([0.0, np.pi]))
    np.testing.assert_allclose(each, [[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]], atol=1e-15)


def test_an_axis_is_found_across_the_moments():
    spin = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, -2.0]])
    axis = axis_of_turn("axis", None, spin)
    assert axis @ spin[1] == pytest.approx(0.0, abs=1e-15)
    assert np.linalg.norm(axis) == pytest.approx(1.0)
    np.testing.assert_allclose(axis_of_turn("axis", [0, 0, 3], spin), [0, 0, 1])


@pytest.mark.parametrize(
    ("given", "part"), [([0, 0, 0], "a vector with a direction"), ([1, 1, -2], "changes nothing")]
)
def test_an_axis_that_is_none(given, part):
    with pytest.raises(InputError, match=part):
        axis_of_turn("task.rotation.axis", given, np.array([[1.0, 1.0, -2.0], [-1.0, -1.0, 2.0]]))


def test_the_transverse_part():
    spin = np.array([[0.0, 0.0, 2.0], [0.0, 0.0, 0.0]])
    parts = transverse(np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]), spin)
    np.testing.assert_array_equal(parts, [[1.0, 2.0, 0.0], [0.0, 0.0, 0.0]])


def test_a_vector_in_words():
    assert in_numbers(np.array([-1e-17, 0.70710678, -1.0])) == "(0, 0.707, −1)"
