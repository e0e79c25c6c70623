"""The rates of the basis functions, integrated along a path, equal their differences."""

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list

from spinpot.audit.interpolation import CUTOFF, FUNCTIONS, Basis, radial
from spinpot.audit.path import Path
from support.frames import random_system, system


def test_radial_functions_end_smoothly_and_have_their_derivatives():
    r = np.linspace(1.0, CUTOFF - 1e-3, 50)
    slope = radial(r)[1]
    numeric = (radial(r + 1e-6)[0] - radial(r - 1e-6)[0]) / 2e-6
    np.testing.assert_allclose(slope, numeric, atol=1e-7)
    for at_the_end in radial(np.array([CUTOFF, CUTOFF + 0.3])):
        np.testing.assert_allclose(at_the_end, 0, atol=1e-12)


@pytest.fixture(scope="module")
def path():
    """Two frames near each other, in cells that differ."""
    made = random_system(4, 1)
    rng = np.random.default_rng(5)
    box = np.concatenate([made.box, made.box @ (np.eye(3) + 0.02 * rng.normal(size=(3, 3)))])
    moved = made.coord[0] @ np.linalg.solve(made.box[0], box[1]) + 0.05 * rng.normal(size=made.coord[0].shape)
    spin = np.concatenate([made.spin, made.spin + 0.3 * rng.normal(size=made.spin.shape)])
    spin[:, made.types == 1] = 0
    return Path(system(made.type_map, made.types, box, np.stack([made.coord[0], moved]), spin), 0, 1)


def sums(made, frame):
    """Σ f_k(r) and Σ f_k(r) S_i·S_j over the pairs of each two types, images included."""
    atoms = Atoms(numbers=made.types + 1, positions=made.coord[frame], cell=made.box[frame], pbc=True)
    i, j, r = neighbor_list("ijd", atoms, CUTOFF)
    function = radial(r)[0] / 2  # each pair is listed twice
    dot = (made.spin[frame][i] * made.spin[frame][j]).sum(-1)
    low, high = np.minimum(made.types[i], made.types[j]), np.maximum(made.types[i], made.types[j])
    return {
        (a, b): [(function[own].T * weight[own]).sum(axis=1) for weight in (np.ones_like(r), dot)]
        for a, b in ((0, 0), (0, 1), (1, 1))
        if (own := (low == a) & (high == b)).any()
    }


def of_single_moments(spin):
    """Σ S_a, Σ S_a S_b and Σ |S|⁴."""
    products = np.einsum("ia,ib->ab", spin, spin)[np.triu_indices(3)]
    return np.concatenate([spin.sum(axis=0), products, [((spin**2).sum(-1) ** 2).sum()]])


def test_rates_are_those_of_the_functions(path):
    x, weight = np.polynomial.legendre.leggauss(20)
    t, weight = (x + 1) / 2, weight / 2
    _, across, along = path.spins(t)
    rates = Basis(path.system).rates(path, t, {"spin": across + along})
    gained = {name: -np.einsum("t,tk->k", weight, values) for name, values in rates.items()}
    moved = gained["force"] + gained["virial"]
    before, after = (sums(path.system, frame) for frame in (0, 1))
    for n, kinds in enumerate(((0, 0), (0, 1), (1, 1))):
        own = slice(n * FUNCTIONS, (n + 1) * FUNCTIONS)
        np.testing.assert_allclose(moved[own], after[kinds][0] - before[kinds][0], atol=1e-6)
    # Exchange changes by the motion of the atoms and by that of the moments.
    turned = moved[3 * FUNCTIONS :] + gained["spin"][:FUNCTIONS]
    np.testing.assert_allclose(turned, after[0, 0][1] - before[0, 0][1], atol=1e-6)
    before, after = (of_single_moments(spin) for spin in path.system.spin)
    np.testing.assert_allclose(gained["spin"][FUNCTIONS:], after - before, atol=1e-10)
