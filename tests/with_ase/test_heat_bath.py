"""Spins and atoms in a heat bath: the equilibrium is Boltzmann's for any damping."""

import numpy as np
import pytest
from ase import units

from spinpot.ase import SpinLatticeDynamics
from spinpot.core.errors import InputError
from spinpot.kernels.dynamics import SPINS, normals
from support.lone_moments import LoneMoments, many


def directions(atoms, dynamics, equilibrate, samples, between):
    """u_z of all moments at several times after the start is forgotten."""
    dynamics.run(equilibrate)
    found = []
    for _ in range(samples):
        dynamics.run(between)
        S = atoms.get_initial_magnetic_moments()
        found.append(S[:, 2] / np.linalg.norm(S, axis=1))
    return np.array(found)


@pytest.mark.parametrize(
    ("damping", "length", "x", "femtoseconds"),
    [(0.3, 1.9, 2.0, 1.5), (1.0, 0.7, 2.0, 0.4), (0.5, 1.2, 6.0, 0.4)],
)
def test_a_moment_in_a_field_follows_langevin(damping, length, x, femtoseconds):
    """⟨cos θ⟩ = coth x − 1/x and ⟨cos² θ⟩ = 1 − 2⟨cos θ⟩/x, with x = |S||B|/k_B T."""
    temperature = 300.0
    atoms = many(3000, length, LoneMoments(field=x * units.kB * temperature / length))
    dynamics = SpinLatticeDynamics(
        atoms,
        femtoseconds * units.fs,
        lattice=False,
        damping=damping,
        tolerance=1e-5,
        temperature_K=temperature,
        seed=7,
    )
    u = directions(atoms, dynamics, equilibrate=100, samples=8, between=20)
    langevin = 1.0 / np.tanh(x) - 1.0 / x
    # 3000 moments at 8 times: a standard error below 0.006.
    assert u.mean() == pytest.approx(langevin, abs=0.015)
    assert (u**2).mean() == pytest.approx(1.0 - 2.0 * langevin / x, abs=0.015)
    lengths = np.linalg.norm(atoms.get_initial_magnetic_moments(), axis=1)
    np.testing.assert_allclose(lengths, length, rtol=1e-9)


def test_an_easy_axis_follows_boltzmann():
    """⟨cos² θ⟩ with the weight exp(κ cos² θ), where the field depends on the spin."""
    temperature, length, kappa = 300.0, 1.5, 1.5
    atoms = many(3000, length, LoneMoments(anisotropy=kappa * units.kB * temperature / length**2))
    dynamics = SpinLatticeDynamics(
        atoms,
        1.5 * units.fs,
        lattice=False,
        damping=1.0,
        tolerance=1e-5,
        temperature_K=temperature,
        seed=3,
    )
    u = directions(atoms, dynamics, equilibrate=100, samples=8, between=20)
    z = np.linspace(-1.0, 1.0, 2001)
    weight = np.exp(kappa * z**2)
    assert (u**2).mean() == pytest.approx((z**2 * weight).sum() / weight.sum(), abs=0.015)
    assert u.mean() == pytest.approx(0.0, abs=0.03)


def test_atoms_have_the_temperature_of_the_bath():
    """k_B T/2 per degree of freedom, kinetic and potential."""
    temperature = 400.0
    atoms = many(1000, 1.0, LoneMoments())
    dynamics = SpinLatticeDynamics(
        atoms,
        2.0 * units.fs,
        friction=0.02 / units.fs,
        temperature_K=temperature,
        seed=1,
    )
    dynamics.run(200)
    kinetic, potential = [], []
    for _ in range(25):
        dynamics.run(60)
        kinetic.append(atoms.get_kinetic_energy())
        potential.append(0.5 * LoneMoments.k * (atoms.positions**2).sum())
    expected = 1.5 * units.kB * temperature * len(atoms)
    # 3000 degrees of freedom, 25 samples: a standard error of 0.5 % and some for their correlation.
    assert np.mean(kinetic) == pytest.approx(expected, rel=0.03)
    assert np.mean(potential) == pytest.approx(expected, rel=0.03)


def test_a_seed_repeats_the_run_and_zero_moments_stay():
    ends = []
    for _ in range(2):
        atoms = many(3, 1.0, LoneMoments(field=0.01))
        moments = atoms.get_initial_magnetic_moments()
        moments[1] = 0.0
        atoms.set_initial_magnetic_moments(moments)
        SpinLatticeDynamics(
            atoms,
            0.5 * units.fs,
            damping=0.5,
            friction=0.01 / units.fs,
            temperature_K=300.0,
            seed=5,
        ).run(20)
        ends.append((atoms.get_initial_magnetic_moments(), atoms.positions))
    np.testing.assert_array_equal(ends[0][0], ends[1][0])
    np.testing.assert_array_equal(ends[0][1], ends[1][1])
    np.testing.assert_array_equal(ends[0][0][1], 0.0)
    assert not np.allclose(ends[0][0][0], ends[0][0][2])  # each has noise of its own


def bath(**options):
    """Three moments and atoms in a field and a bath, and their dynamics."""
    atoms = many(3, 1.0, LoneMoments(field=0.01))
    given = {"damping": 0.5, "friction": 0.01 / units.fs, "temperature_K": 300.0, "tolerance": 1e-12}
    return atoms, SpinLatticeDynamics(atoms, 0.5 * units.fs, **given | options)


def test_a_run_that_is_continued_has_the_noise_it_would_have_had():
    whole, dynamics = bath(seed=5)
    dynamics.run(20)
    parts, dynamics = bath(seed=5)
    dynamics.run(8)
    assert dynamics.step_number == 8
    SpinLatticeDynamics(
        parts,
        0.5 * units.fs,
        damping=0.5,
        friction=0.01 / units.fs,
        temperature_K=300.0,
        tolerance=1e-12,
        seed=5,
        step_number=8,
    ).run(12)
    np.testing.assert_allclose(parts.positions, whole.positions, rtol=0, atol=1e-12)
    for name in ("initial_magmoms", "momenta"):
        np.testing.assert_allclose(parts.arrays[name], whole.arrays[name], rtol=0, atol=1e-11, err_msg=name)


def test_the_noise_is_that_of_atom_ids_from_one_on():
    """As LAMMPS has it: the first step is number 1."""
    _, dynamics = bath(seed=7)
    length = 2.0 * 0.5 * units.kB * 300.0 / (dynamics.rate * dynamics.dt)
    np.testing.assert_allclose(
        dynamics.draw_noise(), np.sqrt(length) * normals(7, 1, SPINS, np.array([1, 2, 3])), rtol=1e-14
    )


def test_runs_without_a_seed_differ_and_say_theirs():
    first, dynamics = bath()
    dynamics.run(3)
    other, different = bath()
    different.run(3)
    assert not np.allclose(first.positions, other.positions)
    again, repeated = bath(seed=dynamics.seed)
    repeated.run(3)
    np.testing.assert_array_equal(first.positions, again.positions)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"temperature_K": -1.0}, "Expected a finite number >= 0"),
        ({"friction": -0.1}, "Expected a finite number >= 0"),
        ({"temperature_K": np.inf}, "Expected a finite number >= 0"),
        ({"temperature_K": 300.0}, "nothing is coupled to the heat bath"),
        ({"temperature_K": 300.0, "friction": 0.01, "lattice": False}, "nothing is coupled to the heat bath"),
        ({"seed": -1}, "seed=-1. Expected a whole number >= 0, below 2\\^63"),
        ({"seed": 1.5}, "seed=1.5. Expected a whole number"),
        ({"step_number": 2**48}, "Expected a whole number >= 0, below 2\\^48"),
    ],
)
def test_wrong_baths(wrong, said):
    with pytest.raises(InputError, match=said):
        SpinLatticeDynamics(many(1, 1.0, LoneMoments()), 1.0, **wrong)
