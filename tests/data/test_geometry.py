"""Neighbour pairs agree with a sum over all images."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from spinpot import kernels
from spinpot.data.batch import collate
from spinpot.data.dataset import make_frames
from spinpot.data.from_ase import system_from_atoms
from spinpot.data.geometry import Geometry
from spinpot.data.pairs import neighbours
from support.frames import random_system

SCALE = np.array([0.3, 0.0])
USE_SPIN = np.array([True, False])


@pytest.fixture(params=["vesin", "library"], autouse=True)
def finder(request):
    """What finds the pairs."""
    if request.param == "library":
        request.getfixturevalue("compiled")
        yield
    else:
        with kernels.without():
            yield


def batch(rcut, made):
    return collate(list(make_frames([made])), Geometry(rcut, USE_SPIN, SCALE))


def by_brute_force(made, rcut):
    """Every (centre, neighbour, type, vector) within rcut, over enough images."""
    found = []
    box, coord, spin = made.box[0], made.coord[0], made.spin[0]
    images = np.array(list(itertools.product(*(range(-4 * p, 4 * p + 1) for p in made.pbc))))
    for i, j in itertools.product(range(made.n_atoms), repeat=2):
        for image in images:
            vector = coord[j] + image @ box - coord[i]
            if not (i == j and not image.any()) and np.linalg.norm(vector) < rcut:
                found.append((i, j, made.types[j], *vector))
            virtual = vector + SCALE[made.types[j]] * spin[j]
            if USE_SPIN[made.types[j]] and np.linalg.norm(virtual) < rcut:
                found.append((i, j, made.types[j] + 2, *virtual))
    return np.array(sorted(found))


@pytest.mark.parametrize("pbc", list(itertools.product([True, False], repeat=3)), ids=str)
@pytest.mark.parametrize("rcut", [2.5, 4.0, 7.0], ids=lambda rcut: f"rcut{rcut}")
def test_all_pairs_are_found(rcut, pbc):
    made = replace(random_system(seed=2), pbc=pbc)
    made.coord[0, :2] += 3 * made.box[0, 1] - 2 * made.box[0, 2]  # beyond the cell, along all directions
    found = batch(rcut, made)
    columns = (found.pair_centre, found.pair_neighbour, found.pair_type, *found.pair_vector.T)
    ours = np.array(sorted(zip(*columns, strict=True)))
    expected = by_brute_force(made, rcut)
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, atol=1e-12)


@pytest.mark.parametrize("pbc", [(False, False, False), (True, False, False), (True, False, True)], ids=str)
def test_atoms_far_away_from_the_others(pbc):
    """Along a tilted vector that repeats, and where nothing does."""
    near = replace(random_system(seed=2), pbc=pbc)
    near.box[0, 0] = [3.0, 2.0, 0.5]
    far = replace(near, coord=near.coord.copy())
    repeats = np.array(pbc, dtype=float)
    far.coord[0, 1] += 1e5 * repeats @ near.box[0]
    distances = [np.sort(batch(4.0, made).pair_vector.norm(dim=1)) for made in (near, far)]
    np.testing.assert_allclose(*distances, atol=1e-9)
    alone = replace(near, coord=near.coord.copy())
    alone.coord[0, 1, 1] += 1e6
    centre = batch(4.0, alone).pair_centre
    assert (batch(4.0, near).pair_centre == 1).sum() > (centre == 1).sum()


@pytest.mark.parametrize("pbc", [(True, False, False), (True, True, True)], ids=str)
def test_shifts_of_atoms_outside_the_cell_are_those_of_their_coordinates(pbc):
    made = random_system(seed=2)
    box, coord = made.box[0], made.coord[0].copy()
    coord[1] += 7 * box[0]
    i, j, shift, vector = neighbours(4.0, coord, box, pbc, "ijSD")
    assert len(i)
    np.testing.assert_allclose(coord[j] - coord[i] + shift @ box, vector, atol=1e-10)


def test_counts():
    made = random_system(seed=3)
    found = batch(4.0, made)
    counts = found.neighbour_counts
    assert counts.sum() == len(found.pair_type)
    assert not counts[:, 3].any(), "oxygen has no virtual atoms"
    assert (counts[0, 2]) == ((found.pair_centre == 0) & (found.pair_type == 2)).sum()


def test_a_virtual_atom_far_from_its_real_atom_is_found():
    made = random_system(seed=4)
    made.spin[0, 0] = [40.0, 0.0, 0.0]  # 12 Å away, beyond rcut
    found = batch(4.0, made)
    assert ((found.pair_neighbour == 0) & (found.pair_type == 2)).any()


def test_a_lone_atom_sees_only_its_virtual_atom():
    alone = system_from_atoms(Atoms("Ni", cell=50.0 * np.eye(3), pbc=True), spin=np.array([[0, 0, 1.0]]))
    found = batch(4.0, alone)
    assert found.pair_type.tolist() == [2]
    np.testing.assert_allclose(found.pair_vector, [[0, 0, 0.3]])
