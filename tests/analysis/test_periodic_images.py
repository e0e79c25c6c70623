"""Which exchange constants of bcc iron cells of some sizes determine."""

import numpy as np
import pytest
from ase import Atoms

from spinpot.analysis.exchange_tensors import Exchange
from spinpot.analysis.periodic_images import determined, supercell_matrix

A = 2.86  # Å
PRIMITIVE = 0.5 * A * (np.ones((3, 3)) - 2.0 * np.eye(3))
CUBES = A * np.eye(3)


def iron(J, cutoff=5.0):
    """An Exchange with the J (eV) of each shell, and the number of each pair's shell."""
    cell = Atoms("Fe", cell=PRIMITIVE, pbc=True)
    shifts = np.stack(np.meshgrid(*[np.arange(-6, 7)] * 3), -1).reshape(-1, 3)
    vectors = shifts @ PRIMITIVE
    distance = np.linalg.norm(vectors, axis=1)
    near = (distance > 0.0) & (distance < cutoff)
    shifts, vectors, distance = shifts[near], vectors[near], distance[near]
    _, shell = np.unique(distance.round(6), return_inverse=True)
    one = np.zeros(len(shifts), dtype=int)
    tensor = np.array(J)[shell][:, None, None] * np.eye(3)
    return Exchange(cell, one, one, shifts, vectors, tensor, np.zeros(1), 0.0, True, 1), shell


def shells_determined(cells, J=(0.02, 0.01, 0.0, 0.0, 0.0), reach=0.0):
    found, shell = iron(J)
    known = determined(found, shell, reach, cells)
    each = [set(known[shell == number].tolist()) for number in range(5)]
    assert all(len(own) == 1 for own in each)
    return [own.pop() for own in each]


def test_two_atoms_determine_the_nearest_pair_alone():
    """All pairs of corner atoms are images of the atom itself."""
    assert shells_determined([CUBES]) == [True, False, False, False, False]


def test_sixteen_atoms():
    """The shells are at 2.48, 2.86, 4.04, 4.74 and 4.95 Å; pairs of the fourth are images of the first."""
    assert shells_determined([2.0 * CUBES]) == [True, True, True, False, True]
    assert shells_determined([3.0 * CUBES]) == [True] * 5


def test_a_nearest_pair_is_not_determined_if_its_images_have_a_large_J():
    folded = (0.023, -0.013, -0.006, 0.009, 0.003)
    assert shells_determined([2.0 * CUBES], folded) == [False, True, True, False, True]
    assert shells_determined([3.0 * CUBES], folded) == [True] * 5


def test_cells_add_up():
    """In the first the second shell along z is folded, in the second that along x."""
    long = A * np.diag([2.0, 2.0, 1.0]), A * np.diag([1.0, 2.0, 2.0])
    found, shell = iron((0.02, 0.01, 0.0, 0.0, 0.0))
    along = np.abs(found.vector[shell == 1]).argmax(axis=1)
    known = [determined(found, shell, 0.0, [cell])[shell == 1] for cell in long]
    assert [set(along[own].tolist()) for own in known] == [{0, 1}, {1, 2}]
    assert determined(found, shell, 0.0, long)[shell == 1].all()


@pytest.mark.parametrize("cells", [[], [np.diag([7.0, 7.4, 8.1])]])
def test_else_the_distance_decides(cells):
    assert shells_determined(cells, reach=2.9) == [True, True, False, False, False]


def test_supercells_of_strained_and_of_other_crystals():
    strained = 2.0 * CUBES @ (np.eye(3) + 0.02 * np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]]))
    assert supercell_matrix(PRIMITIVE, strained) == pytest.approx(np.array([[0, 2, 2], [2, 0, 2], [2, 2, 0]]))
    assert supercell_matrix(PRIMITIVE, 1.3 * CUBES) is None
    assert supercell_matrix(PRIMITIVE, 0.2 * CUBES) is None
