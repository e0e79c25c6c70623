"""Moving spins: conservation laws, and relaxed structures without forces."""

from contextlib import nullcontext

import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.calculator import Calculator, all_changes
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.optimize import BFGS, FIRE

from spinpot import kernels
from spinpot.ase import SpinCalculator, SpinFilter, SpinLatticeDynamics
from spinpot.ase.dynamics import HBAR
from spinpot.core.errors import InputError
from spinpot.evaluation.predictor import Predictor
from spinpot.kernels.dynamics import rotated
from support.frames import random_system, small_potential


class TwoMoments(Calculator):
    """E = J(r) S₁·S₂ + k/2 (r − r₀)² + a Σ(S² − 1)² − B·ΣS, J(r) = J exp(−r)."""

    implemented_properties = ("energy", "free_energy", "forces", "magnetic_forces")
    J, k, r0, a = 0.2, 5.0, 2.0, 0.3

    def __init__(self, field=(0.0, 0.0, 0.0)):
        super().__init__()
        self.field = np.array(field)

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)):
        super().calculate(atoms, properties, system_changes)
        S = self.atoms.get_initial_magnetic_moments()
        d = self.atoms.positions[1] - self.atoms.positions[0]
        r = np.linalg.norm(d)
        J, dot = self.J * np.exp(-r), S[0] @ S[1]
        excess = (S**2).sum(1, keepdims=True) - 1.0
        energy = (
            J * dot + 0.5 * self.k * (r - self.r0) ** 2 + self.a * (excess**2).sum() - (S @ self.field).sum()
        )
        pull = (-J * dot + self.k * (r - self.r0)) * d / r
        magnetic = -(J * S[::-1] + 4.0 * self.a * excess * S) + self.field
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "forces": np.array([pull, -pull]),
            "magnetic_forces": magnetic,
        }


def two(moments, distance=2.1, field=(0.0, 0.0, 0.0)):
    atoms = Atoms("Ni2", positions=[[0, 0, 0], [distance, 0, 0]], cell=[9, 9, 9], pbc=True)
    atoms.set_initial_magnetic_moments(np.array(moments, dtype=float))
    atoms.calc = TwoMoments(field)
    return atoms


def lengths(atoms):
    return np.linalg.norm(atoms.get_initial_magnetic_moments(), axis=1)


def total_energy(atoms):
    return atoms.get_potential_energy() + atoms.get_kinetic_energy()


def worst_drift(make, step, total, **options):
    """The largest change of the energy over a time, and the atoms at its end."""
    atoms = make()
    dynamics = SpinLatticeDynamics(atoms, step, **options)
    start, worst = total_energy(atoms), 0.0
    for _ in range(round(total / step)):
        dynamics.step()
        worst = max(worst, abs(total_energy(atoms) - start))
    return worst, atoms


def test_rotations_keep_lengths():
    rng = np.random.default_rng(0)
    spin, angle = rng.normal(size=(2, 50, 3))
    turned = rotated(spin, 10.0 * angle)
    np.testing.assert_allclose(np.linalg.norm(turned, axis=1), np.linalg.norm(spin, axis=1), rtol=1e-14)
    np.testing.assert_allclose(turned - spin, 0.5 * np.cross(spin + turned, 10.0 * angle), atol=1e-12)


def test_precession_has_the_larmor_frequency():
    """|B| = 0.01 eV/μ_B turns a lone moment by g|B|t/ħ, in the sense of −S × B."""
    field = 0.01
    atoms = two([[1, 0, 0], [0, 0, 1]], distance=30.0, field=(0, 0, field))
    SpinLatticeDynamics(atoms, 0.02 * units.fs, lattice=False).run(500)
    angle = 2.0 * field * 500 * 0.02 * units.fs / HBAR
    hbar = 0.6582119569  # eV·fs
    assert angle == pytest.approx(2.0 * field * 10.0 / hbar, rel=1e-6)
    moment = atoms.get_initial_magnetic_moments()[0]
    np.testing.assert_allclose(moment, [np.cos(angle), np.sin(angle), 0.0], atol=1e-6)


def test_energy_and_lengths_of_two_moments():
    def make():
        atoms = two([[0.9, 0.1, 0.2], [0.0, -1.1, 0.3]])
        atoms.set_momenta([[0.3, 0.1, 0.0], [-0.3, -0.1, 0.0]])
        return atoms

    coarse, _ = worst_drift(make, 0.2 * units.fs, 200 * units.fs)
    fine, atoms = worst_drift(make, 0.1 * units.fs, 200 * units.fs)
    assert coarse < 1e-4
    assert fine / coarse == pytest.approx(0.25, rel=0.15)
    np.testing.assert_allclose(lengths(atoms), lengths(make()), rtol=1e-12)


def test_the_total_moment_of_an_exchange_pair_is_kept_to_second_order():
    changes = []
    for step in (0.4, 0.2):
        atoms = two([[0.9, 0.1, 0.2], [0.0, -1.1, 0.3]])
        before = atoms.get_initial_magnetic_moments().sum(0)
        SpinLatticeDynamics(atoms, step * units.fs, lattice=False, tolerance=1e-9).run(round(60 / step))
        changes.append(np.abs(atoms.get_initial_magnetic_moments().sum(0) - before).max())
    assert changes[0] < 1e-4
    assert changes[1] / changes[0] < 0.3


def test_a_step_that_is_too_long():
    atoms = two([[0.9, 0.1, 0.2], [0.0, -1.1, 0.3]], distance=0.5)
    with pytest.raises(InputError, match="shorter timestep"):
        SpinLatticeDynamics(atoms, 100 * units.fs, lattice=False).run(50)


@pytest.mark.parametrize("lattice", [False, True])
def test_a_step_that_fails_leaves_the_atoms_as_they_were(lattice):
    atoms = two([[0.9, 0.1, 0.2], [0.0, -1.1, 0.3]], distance=0.5)
    atoms.set_momenta([[0.1, 0.0, 0.2], [0.0, 0.3, 0.0]])
    before, energy = atoms.copy(), atoms.get_potential_energy()
    with pytest.raises(InputError, match="shorter timestep"):
        SpinLatticeDynamics(atoms, 100 * units.fs, lattice=lattice).run(1)
    for name, array in before.arrays.items():
        np.testing.assert_array_equal(atoms.arrays[name], array, err_msg=name)
    assert atoms.get_potential_energy() == energy


def test_it_runs_backwards():
    atoms = two([[0.9, 0.1, 0.2], [0.0, -1.1, 0.3]])
    start = atoms.get_initial_magnetic_moments()
    dynamics = SpinLatticeDynamics(atoms, 0.1 * units.fs, lattice=False, tolerance=1e-13)
    dynamics.run(50)
    dynamics.dt = -dynamics.dt
    dynamics.run(50)
    np.testing.assert_allclose(atoms.get_initial_magnetic_moments(), start, atol=1e-10)


def test_atoms_and_spins_run_backwards():
    atoms = two([[0.9, 0.1, 0.2], [0.0, -1.1, 0.3]])
    atoms.set_momenta([[0.3, 0.1, 0.0], [-0.3, -0.1, 0.0]])
    start = atoms.copy()
    dynamics = SpinLatticeDynamics(atoms, 0.2 * units.fs, tolerance=1e-13)
    dynamics.run(50)
    assert np.abs(atoms.positions - start.positions).max() > 0.005
    dynamics.dt = -dynamics.dt
    dynamics.run(50)
    for name in ("positions", "momenta", "initial_magmoms"):
        np.testing.assert_allclose(atoms.arrays[name], start.arrays[name], rtol=0, atol=1e-10, err_msg=name)


def test_an_outer_field_in_tesla():
    """g μ_B H/ħ = 2 · 5.788e-5 · 100/6.582e-1 rad/fs, in the sense of −S × H; the sum with E is kept."""
    atoms = two([[1.0, 0.0, 0.2], [0.0, 0.0, 0.0]], distance=30.0)
    dynamics = SpinLatticeDynamics(
        atoms, 2.0 * units.fs, lattice=False, field=(0.0, 0.0, 100.0), tolerance=1e-13
    )
    energy = dynamics.zeeman_energy()
    assert energy == pytest.approx(-0.2 * 5.788e-3, rel=1e-4)
    dynamics.run(100)
    angle = 2.0 * 5.788e-3 * 200.0 / 0.6582119569
    expected = [np.cos(angle), np.sin(angle), 0.2]
    np.testing.assert_allclose(atoms.get_initial_magnetic_moments()[0], expected, atol=2e-3)
    assert dynamics.zeeman_energy() == pytest.approx(energy, rel=1e-10)


class Frugal(TwoMoments):
    """Gives what it is asked for alone, and remembers that."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)):
        super().calculate(atoms, properties, system_changes)
        self.asked.append(sorted(properties))
        self.results = {name: self.results[name] for name in properties}


@pytest.mark.parametrize("lattice", [False, True])
def test_a_step_takes_forces_and_fields_from_the_same_evaluations(lattice):
    atoms = two([[0.9, 0.1, 0.2], [0.0, -1.1, 0.3]])
    atoms.calc = Frugal()
    dynamics = SpinLatticeDynamics(atoms, 0.2 * units.fs, lattice=lattice)
    dynamics.run(10)
    assert atoms.calc.asked == dynamics.evaluations * [["forces", "magnetic_forces"]]


def test_observers_see_the_state_after_a_step():
    atoms = two([[0.9, 0.1, 0.2], [0.0, -1.1, 0.3]])
    atoms.calc = Frugal()
    dynamics, seen = SpinLatticeDynamics(atoms, 0.2 * units.fs), []
    dynamics.attach(lambda: seen.append(atoms.calc.results["forces"].copy()), interval=5)
    dynamics.run(10)
    assert len(seen) == 3
    assert atoms.calc.asked.count(["forces"]) == 3
    np.testing.assert_array_equal(seen[-1], atoms.get_forces())


def test_the_last_fields_save_evaluations():
    """At the same tolerance; a new object knows none."""
    with_them, without = (two([[0.9, 0.1, 0.2], [0.0, -1.1, 0.3]]) for _ in range(2))
    dynamics, spent = SpinLatticeDynamics(with_them, 0.5 * units.fs, lattice=False), 0
    dynamics.run(100)
    for _ in range(100):
        alone = SpinLatticeDynamics(without, 0.5 * units.fs, lattice=False)
        alone.step()
        spent += alone.evaluations
    np.testing.assert_allclose(
        with_them.get_initial_magnetic_moments(), without.get_initial_magnetic_moments(), atol=1e-4
    )
    assert dynamics.evaluations < 0.6 * spent


def test_a_bath_costs_few_evaluations_where_fields_depend_on_their_own_spins():
    """The lengths' energy gives a field along each moment, which turns none but follows the noise."""
    atoms = two([[0.9, 0.1, 0.2], [0.0, -1.1, 0.3]])
    dynamics = SpinLatticeDynamics(
        atoms, 0.5 * units.fs, lattice=False, damping=0.1, temperature_K=300.0, seed=3
    )
    dynamics.run(200)
    assert dynamics.evaluations < 600  # 1,949 where all of a field is taken from the evaluation before


def test_spins_changed_between_steps_are_no_trouble():
    atoms = two([[0.9, 0.1, 0.2], [0.0, -1.1, 0.3]])
    dynamics = SpinLatticeDynamics(atoms, 0.2 * units.fs, lattice=False, tolerance=1e-12)
    dynamics.run(20)
    fresh = two([[0.0, 0.5, 1.0], [-1.1, 0.0, 0.3]])
    atoms.set_initial_magnetic_moments(fresh.get_initial_magnetic_moments())
    dynamics.step()
    SpinLatticeDynamics(fresh, 0.2 * units.fs, lattice=False, tolerance=1e-12).step()
    np.testing.assert_allclose(
        atoms.get_initial_magnetic_moments(), fresh.get_initial_magnetic_moments(), atol=1e-11
    )


def test_without_a_compiler_it_is_the_same():
    ends = []
    for how in (nullcontext(), kernels.without()):
        atoms = two([[0.9, 0.1, 0.2], [0.0, -1.1, 0.3]])
        with how:
            SpinLatticeDynamics(
                atoms, 0.2 * units.fs, damping=0.2, temperature_K=300.0, friction=0.1, seed=3
            ).run(30)
        ends.append(atoms)
    for name in ("positions", "momenta", "initial_magmoms"):
        np.testing.assert_allclose(*(end.arrays[name] for end in ends), atol=1e-11, err_msg=name)


def test_damping_lowers_the_energy_and_keeps_the_lengths():
    atoms = two([[0.9, 0.1, 0.2], [0.0, -1.1, 0.3]])
    before, energies = lengths(atoms), []
    dynamics = SpinLatticeDynamics(atoms, 0.2 * units.fs, lattice=False, damping=0.5)
    for _ in range(1500):
        dynamics.step()
        energies.append(atoms.get_potential_energy())
    assert max(np.diff(energies)) < 1e-12
    np.testing.assert_allclose(lengths(atoms), before, rtol=1e-12)
    S = atoms.get_initial_magnetic_moments()
    assert S[0] @ S[1] == pytest.approx(-before[0] * before[1], rel=1e-3)  # antiparallel


@pytest.mark.slow
def test_the_energy_of_a_potential():
    """The drift of the energy is of second order in the step."""
    predictor = Predictor(small_potential(seed=3, radial="direct"))

    def make():
        made = random_system(11)
        atoms = Atoms(
            [made.type_map[t] for t in made.types], positions=made.coord[0], cell=made.box[0], pbc=True
        )
        atoms.set_initial_magnetic_moments(made.spin[0])
        atoms.calc = SpinCalculator(predictor)
        MaxwellBoltzmannDistribution(atoms, temperature_K=300, rng=np.random.default_rng(5))
        return atoms

    coarse, _ = worst_drift(make, 2.0 * units.fs, 200 * units.fs)
    fine, atoms = worst_drift(make, 1.0 * units.fs, 200 * units.fs)
    print(f"drift {coarse:.2e} eV at 2 fs, {fine:.2e} eV at 1 fs, {fine / coarse:.3f}")
    assert fine / coarse == pytest.approx(0.25, rel=0.15)
    np.testing.assert_allclose(lengths(atoms), lengths(make()), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("optimizer", [BFGS, FIRE])
@pytest.mark.parametrize("spins", ["directions", "lengths", "both"])
@pytest.mark.parametrize("positions", [False, True])
def test_relaxation(optimizer, spins, positions):
    atoms = two([[0.9, 0.1, 0.2], [0.0, -1.1, 0.3]])
    before = atoms.get_initial_magnetic_moments()
    start = atoms.positions.copy()
    moved = SpinFilter(atoms, spins, positions=positions)
    assert optimizer(moved, logfile=None).run(fmax=1e-5, steps=2000)
    S = atoms.get_initial_magnetic_moments()
    if spins == "directions":
        np.testing.assert_allclose(lengths(atoms), np.linalg.norm(before, axis=1), rtol=1e-12)
        assert S[0] @ S[1] == pytest.approx(-np.prod(lengths(atoms)), rel=1e-4)
    if spins == "lengths":
        np.testing.assert_allclose(np.cross(S, before), 0.0, atol=1e-12)
    if spins == "both":
        np.testing.assert_allclose(atoms.calc.get_property("magnetic_forces", atoms), 0.0, atol=2e-5)
        assert S[0] @ S[1] == pytest.approx(-np.prod(lengths(atoms)), rel=1e-4)
    if positions:
        np.testing.assert_allclose(atoms.get_forces(), 0.0, atol=2e-5)
    else:
        np.testing.assert_array_equal(atoms.positions, start)


@pytest.mark.parametrize("spins", ["directions", "lengths", "both"])
def test_forces_on_the_variables_are_exact(spins):
    moved = SpinFilter(two([[0.9, 0.1, 0.2], [0.0, -1.1, 0.3]]), spins, positions=True)
    rng = np.random.default_rng(1)
    x = moved.get_positions() + 0.1 * rng.normal(size=(4, 3))
    moved.set_positions(x)
    forces, h = moved.get_forces(), 1e-5
    for index in np.ndindex(4, 3):
        energies = []
        for sign in (1, -1):
            shifted = x.copy()
            shifted[index] += sign * h
            moved.set_positions(shifted)
            energies.append(moved.get_potential_energy())
        assert -(energies[0] - energies[1]) / (2 * h) == pytest.approx(forces[index], abs=1e-8)


def test_moments_of_zero_stay_zero():
    atoms = two([[0.0, 0.0, 0.0], [0.0, 1.0, 0.3]])
    BFGS(SpinFilter(atoms, "directions"), logfile=None).run(fmax=1e-4, steps=20)
    np.testing.assert_array_equal(atoms.get_initial_magnetic_moments()[0], 0.0)


def test_wrong_choices():
    with pytest.raises(InputError, match="directions, lengths or both"):
        SpinFilter(two([[1, 0, 0], [0, 1, 0]]), "angles")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"timestep": -1.0}, "timestep=-1.0. Expected a finite number > 0."),
        ({"timestep": 0.0}, "timestep=0.0. Expected a finite number > 0."),
        ({"timestep": np.nan}, "timestep=nan. Expected a finite number > 0."),
        ({"timestep": 1.0, "damping": -0.1}, "damping=-0.1. Expected a finite number >= 0."),
        ({"timestep": 1.0, "damping": np.inf}, "damping=inf. Expected a finite number >= 0."),
        ({"timestep": 1.0, "g": 0.0}, "g=0.0. Expected a finite number > 0."),
        ({"timestep": 1.0, "tolerance": 0.0}, "tolerance=0.0. Expected a finite number > 0."),
        ({"timestep": 1.0, "field": 3.0}, "field=3.0. Expected three finite numbers, in tesla."),
        (
            {"timestep": 1.0, "field": (0, 0, np.nan)},
            "field=(0, 0, nan). Expected three finite numbers, in tesla.",
        ),
    ],
)
def test_numbers_that_dynamics_cannot_use(wrong, said):
    with pytest.raises(InputError) as caught:
        SpinLatticeDynamics(two([[1, 0, 0], [0, 1, 0]]), **wrong)
    assert str(caught.value) == f"SpinLatticeDynamics: {said}"


def test_moments_along_z_alone_are_no_vectors():
    atoms = two([[1, 0, 0], [0, 1, 0]])
    atoms.set_initial_magnetic_moments(None)
    atoms.set_initial_magnetic_moments([1.0, -1.0])
    with pytest.raises(InputError, match="the initial magnetic moments of the atoms are no vectors"):
        SpinLatticeDynamics(atoms, 1.0)
