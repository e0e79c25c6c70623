"""Which exchange constants of bcc iron cells of some sizes determine."""

import numpy as np
import pytest
from ase import Atoms

from spinpot.analysis.exchange_tensors import Exchange
from spinpot.analysis.periodic_images import pairs_determined, sums_determined, supercells

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


def fe(*cells):
    """Training crystals of bcc iron."""
    found = {}
    for cell in cells:
        found.setdefault(f"Fe{round(2 * abs(np.linalg.det(cell)) / A**3)}", []).append(cell)
    return found


def shells_determined(cells, J=(0.02, 0.01, 0.0, 0.0, 0.0)):
    found, shell = iron(J)
    known = pairs_determined(found, shell, supercells(found.cell, fe(*cells)))
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
    matrices = supercells(found.cell, fe(*long))
    known = [pairs_determined(found, shell, [one])[shell == 1] for one in matrices]
    assert [set(along[own].tolist()) for own in known] == [{0, 1}, {1, 2}]
    assert pairs_determined(found, shell, matrices)[shell == 1].all()


def test_sums_of_all_shells():
    """Two atoms give the sum of all J but those of an atom and its own images, the corners of the cubes."""
    near, far = iron((0.02, 0.001, 0.0, 0.0, 0.0))[0], iron((0.02, 0.01, 0.0, 0.0, 0.0))[0]
    two, sixteen = (supercells(near.cell, fe(size * CUBES)) for size in (1, 2))
    assert (sums_determined(near, two), sums_determined(far, two)) == (True, False)
    assert sums_determined(far, sixteen)
    assert sums_determined(far, [*two, *sixteen])


SHEAR = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]])


@pytest.mark.parametrize("strain", [0.0 * SHEAR, 0.02 * SHEAR, -0.06 * np.eye(3)])
def test_strained_supercells(strain):
    for size in (2, 5):
        (matrix,) = supercells(
            iron([0.0] * 5)[0].cell, {f"Fe{2 * size**3}": [size * CUBES @ (np.eye(3) + strain)]}
        )
        assert matrix == pytest.approx(size * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]))


OTHERS = {
    "other elements": {"Co16": [2.0 * CUBES]},
    "an alloy": {"Fe15Co": [2.0 * CUBES]},
    "a vacancy": {"Fe15": [2.0 * CUBES]},
    "larger atoms": {"Fe16": [2.6 * CUBES]},
    "fcc": {"Fe4": [1.25 * CUBES], "Fe2": [A * np.diag([0.89, 0.89, 1.26])]},
    "no volume": {"Fe2": [0.2 * CUBES]},
}


@pytest.mark.parametrize("crystals", OTHERS.values(), ids=OTHERS)
def test_other_materials_are_no_supercells(crystals):
    assert supercells(iron([0.0] * 5)[0].cell, crystals) == []


def test_a_material_of_several_elements():
    cell = Atoms("NiO", cell=PRIMITIVE, pbc=True)
    assert len(supercells(cell, {"Ni2O2": [CUBES], "Ni4": [CUBES], "NiO3": [CUBES]})) == 1
