"""Exchange tensors by finite differences reproduce the constants of a known Hamiltonian."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.neighborlist import neighbor_list

from spinpot.analysis.cells import magnetic_cell
from spinpot.analysis.exchange_tensors import exchange_tensors
from spinpot.data import nio
from support.nio_calculator import NiOCalculator, nio_atoms

REACH = 3.2


class TwoSites(Calculator):
    """E = −½ Σ S_i·J(r_ij)·S_j/(|S_i||S_j|) + a well in |S|, J any tensor with J(r) = J(−r)ᵀ."""

    implemented_properties = ["magnetic_forces"]  # noqa: RUF012
    pairs = None

    def calculate(self, atoms=None, properties=(), system_changes=tuple(all_changes)):
        super().calculate(atoms, properties, system_changes)
        if self.pairs is None:  # nothing moves but spins
            i, j, vectors = neighbor_list("ijD", self.atoms, REACH)
            self.pairs = i, j, np.array([tensor(vector) for vector in vectors])
        spin = np.array(self.atoms.get_initial_magnetic_moments())
        length = np.linalg.norm(spin, axis=1, keepdims=True)
        e = spin / length
        i, j, tensors = self.pairs
        pull = np.zeros_like(spin)
        np.add.at(pull, i, np.einsum("pab,pb->pa", tensors, e[j]))
        pull -= (pull * e).sum(axis=1, keepdims=True) * e
        self.results = {"magnetic_forces": pull / length - 5.0 * (length - 2.0) * e}


def tensor(vector):
    """eV; isotropic, symmetric and antisymmetric parts that decay with the distance."""
    x, y, z = vector
    r = np.linalg.norm(vector)
    cross = np.array([[0.0, z, -y], [-z, 0.0, x], [y, -x, 0.0]])
    whole = np.eye(3) * 0.02 + 0.01 * np.outer(vector, vector) / r**2 + 0.004 * cross
    return whole * np.exp(-r) * (1 - (r / REACH) ** 2)


def two_sites(moments):
    cell = [[2.5, 0.1, 0.0], [0.0, 2.7, 0.2], [0.3, 0.0, 2.6]]
    atoms = Atoms("FeCo", scaled_positions=[[0, 0, 0], [0.5, 0.45, 0.5]], cell=cell, pbc=True)
    atoms.set_initial_magnetic_moments(moments)
    return atoms


COLLINEAR = [[0.0, 0.6, 1.8], [0.0, -0.5, -1.5]]
TILTED = [[0.0, 0.6, 1.8], [1.4, -0.5, 0.3]]


@pytest.mark.parametrize("moments", [COLLINEAR, TILTED])
def test_all_components_are_found_by_turning_the_state(moments):
    found = exchange_tensors(TwoSites(), two_sites(moments), REACH, REACH, 0.02, full=True)
    assert len(found.i) == len(neighbor_list("i", found.cell, REACH))
    for p in range(len(found.i)):
        assert found.tensor[p] == pytest.approx(tensor(found.vector[p]), abs=1e-7)
    assert found.error < 1e-4


def test_one_state_shows_what_is_across_it():
    found = exchange_tensors(TwoSites(), two_sites(COLLINEAR), REACH, REACH, 0.02, full=False)
    along = np.array(COLLINEAR[0]) / np.linalg.norm(COLLINEAR[0])
    across = np.eye(3) - np.outer(along, along)
    for p in range(len(found.i)):
        expected = across @ tensor(found.vector[p]) @ across
        assert found.tensor[p] == pytest.approx(expected, abs=1e-7)
        assert found.isotropic[p] == pytest.approx(np.trace(expected) / 2, abs=1e-7)
        # The part of D along the moments: E has −½ Σ D·(e_i × e_j).
        x, y, z = found.vector[p]
        r = np.linalg.norm(found.vector[p])
        D = 0.004 * np.array([x, y, z]) * np.exp(-r) * (1 - (r / REACH) ** 2)
        assert found.antisymmetric[p] @ along == pytest.approx(D @ along, abs=1e-7)


def test_the_parts_add_up():
    found = exchange_tensors(TwoSites(), two_sites(COLLINEAR), REACH, REACH, 0.02, full=True)
    x, y, z = found.antisymmetric.T
    o = np.zeros_like(x)
    antisymmetric = np.array([[o, z, -y], [-z, o, x], [y, -x, o]]).transpose(2, 0, 1)
    whole = found.isotropic[:, None, None] * np.eye(3) + found.anisotropic + antisymmetric
    assert whole == pytest.approx(found.tensor, abs=1e-12)


def test_vectors_and_shifts_belong_together():
    found = exchange_tensors(TwoSites(), two_sites(COLLINEAR), REACH, REACH, 0.02, full=False)
    cell = found.cell
    expected = cell.positions[found.j] + found.shift @ cell.cell.array - cell.positions[found.i]
    assert found.vector == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("off", [-1e-9, 0.0, 1e-9])
def test_a_shell_at_the_cutoff_is_in_as_a_whole(off):
    model = NiOCalculator()
    cell = magnetic_cell(nio_atoms(), 0.01)
    found = exchange_tensors(model, cell, 4.17 + off, model.reach(cell), 0.02, full=False)
    assert (np.abs(found.distance - 4.17) < 0.01).sum() == 12


def test_nio_has_its_constants():
    model = NiOCalculator()
    cell = magnetic_cell(nio_atoms(), 0.01)
    found = exchange_tensors(model, cell, 6.0, model.reach(cell), 0.02, full=True)
    first, second = found.distance < 3.0, np.abs(found.distance - 4.17) < 0.01
    assert (first.sum(), second.sum()) == (24, 12)
    assert found.isotropic[first] == pytest.approx(-nio.J1, rel=1e-6)
    assert found.isotropic[second] == pytest.approx(-nio.J2, rel=1e-6)
    # The dipole interaction has no isotropic part, and NiO is centred on its bonds.
    assert np.abs(found.isotropic[~first & ~second]).max() < 1e-9
    assert np.abs(found.antisymmetric).max() < 1e-9
    magnetic = np.isfinite(found.own)
    assert found.own[magnetic] == pytest.approx(found.expected_own()[magnetic], rel=1e-6)
    assert found.own[magnetic] == pytest.approx(6 * nio.J2, rel=1e-3)
