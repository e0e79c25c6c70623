import numpy as np
import pytest
from ase.build import bulk

from spinpot.labels.labellers.mesh import half_shifted, mesh_size


def unfolded(points, copies):
    """The points of a supercell in reciprocal vectors of the cell, where each is as many as it has copies."""
    shifts = np.stack(np.meshgrid(*map(np.arange, copies), indexing="ij"), axis=-1).reshape(-1, 3)
    every = (points[:, None] + shifts) / copies
    return np.unique(np.round(every.reshape(-1, 3) % 1.0, 9), axis=0)


@pytest.mark.parametrize("copies", [(2, 1, 1), (2, 2, 2), (1, 4, 2)])
def test_meshes_of_supercells_are_the_same_points(copies):
    iron = bulk("Fe", "bcc", a=2.86, cubic=True)
    spacing = 2 * np.pi / 2.86 / 4 * 1.01
    small = half_shifted(mesh_size(iron.cell.array, spacing))
    large = half_shifted(mesh_size((iron * copies).cell.array, spacing))
    assert len(small) == 64 == len(large) * np.prod(copies)
    np.testing.assert_array_equal(unfolded(small, (1, 1, 1)), unfolded(large, copies))


def test_points_are_at_most_the_spacing_apart():
    cell = np.array([[2.0, 0.0, 0.0], [1.0, 3.0, 0.0], [0.5, 0.5, 7.0]])
    size = np.array(mesh_size(cell, 0.4))
    lengths = 2 * np.pi * np.linalg.norm(np.linalg.inv(cell), axis=0)
    assert (lengths / size <= 0.4).all()
    assert (lengths / (size - 1) > 0.4).all()


def test_no_point_is_gamma():
    for size in ((1, 1, 1), (2, 3, 4)):
        points = half_shifted(size)
        assert np.abs(points).max() <= 0.5
        assert np.linalg.norm(points, axis=1).min() > 0.1
