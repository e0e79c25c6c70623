"""Spin waves agree with dispersions that are known in closed form."""

import numpy as np
import pytest
from ase import Atoms

from spinpot.analysis.cells import magnetic_cell
from spinpot.analysis.exchange_tensors import exchange_tensors
from spinpot.analysis.magnons import Settings, _energies, band_path, magnons, modes, spin_numbers, spin_waves
from spinpot.core.errors import InputError
from spinpot.data import nio
from support.nio_calculator import NiOCalculator, nio_atoms

pytest.importorskip("magnopy")


@pytest.fixture(scope="module")
def found():
    model = NiOCalculator()
    cell = magnetic_cell(nio_atoms(), 0.01)
    return exchange_tensors(model, cell, 4.5, model.reach(cell), 0.02, full=True)


def analytic(q):
    """ħω (K,) in meV of AFM-II along (½ ½ ½), S = 1, q (K, 3) in 2π/a: √(A² − B²) of two sublattices.

    A: the field of the other sublattice less what neighbours in one's own planes give back; B: what the
    neighbours of the other sublattice give.
    """
    h, k, l = q.T  # noqa: E741
    own = np.cos(np.pi * (h - k)) + np.cos(np.pi * (k - l)) + np.cos(np.pi * (l - h))
    other = np.cos(np.pi * (h + k)) + np.cos(np.pi * (k + l)) + np.cos(np.pi * (l + h))
    next_ones = np.cos(2 * np.pi * h) + np.cos(2 * np.pi * k) + np.cos(2 * np.pi * l)
    A = 6 * nio.J2 + 2 * nio.J1 * own
    B = 2 * nio.J1 * other + 2 * nio.J2 * next_ones
    return 1000 * np.sqrt(np.maximum(A**2 - B**2, 0.0))


def test_nio_has_the_known_dispersion(found):
    q = np.random.default_rng(0).uniform(-1, 1, (40, 3))
    k = q / nio.LATTICE_CONSTANT @ found.cell.cell.array.T
    energies = spin_waves(found, np.array([1.0, 1.0, 0.0, 0.0]), k)
    assert energies.shape == (40, 2)
    for mode in energies.T:
        assert mode == pytest.approx(analytic(q), rel=1e-4, abs=1e-2)


def test_shorter_spins_turn_faster(found):
    k = np.array([[0.1, 0.2, 0.3]])
    one = spin_waves(found, np.array([1.0, 1.0, 0.0, 0.0]), k)
    half = spin_waves(found, np.array([0.5, 0.5, 0.0, 0.0]), k)
    assert half == pytest.approx(2 * one)


def test_turning_all_moments_costs_nothing(found):
    at_zero = spin_waves(found, np.array([1.0, 1.0, 0.0, 0.0]), np.zeros((1, 3)))
    assert modes(at_zero[0]) == [(pytest.approx(0.0, abs=1e-2), 2)]


def test_a_state_that_is_no_minimum_has_negative_energies():
    model = NiOCalculator()
    atoms = nio_atoms(order=(0, 0, 0))  # ferromagnetic, though J2 wants antiparallel moments
    cell = magnetic_cell(atoms, 0.01)
    state = exchange_tensors(model, cell, 4.5, model.reach(cell), 0.02, full=True)
    q = np.array([[0.5, 0.5, 0.5]])
    (energies,) = spin_waves(state, np.array([1.0, 0.0]), q / nio.LATTICE_CONSTANT @ cell.cell.array.T)
    assert energies == pytest.approx([-12000 * (nio.J1 + nio.J2)], rel=1e-4)


class Waves:
    """The matrix of two modes, 1 and −1.5 meV by themselves, that mix; magnopy has no energies for it."""

    def __init__(self, mixing):
        own, other = np.diag([1.0, -1.5]), mixing * np.eye(2)[::-1]
        self.matrix = np.block([[own, other], [other, own]])

    def omega(self, k, relative):
        return [np.nan, np.nan]

    def GDM(self, k, relative):
        return self.matrix


@pytest.mark.parametrize("mixing", [0.6, 1.6])
def test_unstable_modes_are_as_many_as_stable_ones(mixing):
    """Of ω = ±a ± ib only b is shown, whichever is larger."""
    b = np.sqrt(mixing**2 - 0.25**2)
    np.testing.assert_allclose(_energies(Waves(mixing), np.zeros(3)), [-2.0 * b, -2.0 * b], rtol=1e-9)


def test_the_result(found):
    result = magnons(NiOCalculator(), nio_atoms(), Settings(spin={"Ni": 1.0}, samples=20, cutoff=4.5))
    points = {row[0]: row[2] for row in result.tables[0].rows}
    assert set(points) == {"Γ", "X", "W", "K", "L", "U"}
    assert points["Γ"].endswith("×2")
    assert result.numbers["highest_meV"] == pytest.approx(max(map(max, result.numbers["energies_meV"])))
    assert 100 < result.numbers["highest_meV"] < 117
    assert "Hutchings" in " ".join(result.paragraphs)
    assert result.pictures[0].draw().axes[0].get_ylabel() == "ħω (meV)"


def test_ones_own_points():
    settings = Settings(path="AB", points={"A": [0, 0, 0], "B": [0.5, 0.5, 0.5]}, samples=5, cell="magnetic")
    path = band_path(nio_atoms(), settings)
    assert path.kpts[-1] == pytest.approx([0.5, 0.5, 0.5])
    assert path.cell.volume == pytest.approx(2 * 4.17**3 / 4)


def test_unknown_points_are_refused():
    with pytest.raises(
        InputError, match=r"task.magnons.path=GQ: .*Expected a sequence of the names G K L U W X"
    ):
        band_path(nio_atoms(), Settings(path="GQ"))


def test_spins_are_those_of_the_moments_or_those_given():
    atoms = nio_atoms()
    assert spin_numbers(atoms, Settings()) == pytest.approx([0.95, 0.95, 0, 0])
    assert spin_numbers(atoms, Settings(spin={"Ni": 1})) == pytest.approx([1, 1, 0, 0])
    with pytest.raises(InputError, match="no O atom with a moment"):
        spin_numbers(atoms, Settings(spin={"O": 1.0}))


@pytest.mark.parametrize(
    "wrong",
    [{"samples": 1}, {"g": 0.0}, {"points": {"A": [0, 0, 0]}}, {"spin": {"Ni": -1}}, {"cutoff": -1.0}],
)
def test_numbers_that_mean_nothing_are_refused(wrong):
    with pytest.raises(InputError, match=f"task.magnons.{next(iter(wrong))}"):
        Settings(**wrong)


def test_of_other_crystals_nothing_measured_is_drawn():
    atoms = nio_atoms()
    other = Atoms("Mn2O2", positions=atoms.positions, cell=atoms.cell, pbc=True)
    other.set_initial_magnetic_moments(atoms.get_initial_magnetic_moments())
    model = NiOCalculator()
    result = magnons(model, renumbered(model, other), Settings(samples=5, cutoff=4.5))
    assert "Hutchings" not in " ".join(result.paragraphs)


def renumbered(model, atoms):
    """The calculator takes what is not Ni for O: lend it Ni while it calculates."""
    calculate = model.calculate

    def lending(lent=None, *arguments):
        ni = lent.copy()
        ni.numbers[ni.numbers == 25] = 28
        calculate(ni, *arguments)

    model.calculate = lending
    return atoms


def test_a_misspelt_element_is_told_before_the_work(monkeypatch):
    monkeypatch.setattr("spinpot.analysis.magnons.exchange_of", None)
    with pytest.raises(InputError, match="no Nj atom with a moment"):
        magnons(NiOCalculator(), nio_atoms(), Settings(spin={"Nj": 1.0}))
