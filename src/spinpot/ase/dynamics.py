"""Spin-lattice dynamics of atoms and spins with a time-symmetric step of second order.

dS/dt = S × A(S),  A = −(g/ħ)/(1 + α²) · (B + α/|S| S × B),  B = −∂E/∂S + μ_B H + b(t).

The moment S (μ_B) has the angular momentum ħS/g, so it precesses about B at the rate g|B|/ħ. The second term
turns it towards B with the damping α. S × A is perpendicular to S, so |S| is conserved. H is an external
field.

In a heat bath of temperature T, b is white noise (Stratonovich) with ⟨b_i(t) b_j(t′)⟩ = 2 α k_B T ħ/(g|S|)
δ_ij δ(t − t′). It balances the damping, and S samples its sphere with the weight exp(−E/k_B T) (W. F. Brown,
Phys. Rev. 130, 1677 (1963)). The friction γ of the atoms has a corresponding noise.

A step consists of half a drift of the atoms, a kick of all momenta and spins, and the second half of the
drift. The kick uses the forces and fields at these positions and at the midpoints of the spins; friction acts
in its middle. The midpoints are found by iteration; one evaluation gives both forces and fields.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.md.md import MolecularDynamics

from spinpot.ase.calculator import evaluated, vector_moments
from spinpot.core.errors import InputError
from spinpot.kernels import dynamics

HBAR = units._hbar * units.J * units.second
"""In eV × ASE's unit of time."""
BOHR_MAGNETON = 5.7883818060e-5
"""eV/T: the field of 1 tesla in eV/μ_B."""
MOST_ITERATIONS = 30


class SpinLatticeDynamics(MolecularDynamics):
    """Moves spins, and atoms if `lattice`, with a time-reversible second-order step.

    Without damping and bath the energy does not drift, but oscillates in proportion to the square of the time
    step; |S| is conserved exactly.

    timestep: in ASE's units, e.g. 0.1 * units.fs. damping: α. g: ratio of moment to angular momentum.
    field: H (3,), tesla.
    tolerance: of the iteration for the spins of a step, μ_B; without damping a fifth of it is used, because
        the errors of the steps add up.
    temperature_K: of the heat bath. The damping couples the spins to it, the friction couples the atoms.
    friction: of the atoms, in 1/(ASE's unit of time).
    seed: of the noise, 0 … 2⁶³ − 1; None chooses a new one each time, stored in the attribute `seed`.
    step_number: number of the current state. The noise of a step depends only on the seed, the number of the
        state after it, and the index of the atom, so a run that is resumed with its seed and step_number has
        the same noise as an uninterrupted one.

    evaluations: number of evaluations of the calculator so far.

    The spins are integrated with the spherical midpoint method (McLachlan, Modin, Verdier, Phys. Rev. E 89,
    061301, 2014). Raises InputError if the iteration does not converge, because the time step is too long for
    the magnetic forces; the atoms then keep their state from before the step.
    """

    def __init__(
        self,
        atoms: Atoms,
        timestep: float,
        lattice: bool = True,
        damping: float = 0.0,
        g: float = 2.0,
        tolerance: float = 1e-6,
        temperature_K: float = 0.0,
        friction: float = 0.0,
        seed: int | None = None,
        field: Sequence[float] = (0.0, 0.0, 0.0),
        step_number: int = 0,
        **options: Any,
    ) -> None:
        _check("> 0", timestep=timestep, tolerance=tolerance, g=g)
        _check(">= 0", damping=damping, temperature_K=temperature_K, friction=friction)
        _check_bath(temperature_K, damping, friction if lattice else 0.0)
        vector_moments(atoms, "SpinLatticeDynamics")  # raises an error without vectors
        super().__init__(atoms, timestep, **options)
        self.lattice = lattice
        self.damping = damping
        self.rate = g / HBAR
        self.thermal_energy = units.kB * temperature_K
        self.friction = friction
        self.seed = _whole("seed", secrets.randbits(63) if seed is None else seed, 63)
        self.field = BOHR_MAGNETON * _vector(field)
        self.step_number = _whole("step_number", step_number, 48)
        self.ids = np.arange(1, len(atoms) + 1)  # LAMMPS' atom IDs, for the same noise
        self.evaluations = 0
        self.convergence = dynamics.Convergence(tolerance, damping)
        self.history = dynamics.History(len(atoms))

    def step(self) -> None:
        """Make one step. If it fails, restore the state of the atoms before it."""
        before = {name: array.copy() for name, array in self.atoms.arrays.items()}
        try:
            self.move()
        except InputError:
            for name, array in before.items():
                self.atoms.arrays[name][:] = array
            raise
        self.step_number += 1

    def zeeman_energy(self) -> float:
        """The energy −μ_B Σ S·H of the external field, eV; the calculator's energy does not include it."""
        return -float((self.atoms.get_initial_magnetic_moments() @ self.field).sum())

    def move(self) -> None:
        """Move atoms and spins by one step."""
        if self.lattice:
            self.drift()
        turned = self.turn_spins()
        if self.lattice:
            self.kick()
            self.rub()
            self.kick()
            self.drift()
        self.atoms.set_initial_magnetic_moments(turned)

    def turn_spins(self) -> np.ndarray:
        """S at the end of the step, (N, 3). The atoms' moments are then the last midpoints."""
        atoms = self.atoms
        turn = dynamics.Turn(
            self.rate * self.dt, self.damping, np.asarray(atoms.get_initial_magnetic_moments())
        )
        outer = self.field + self.draw_noise()
        turn.by(self.history.expected() + outer)
        self.convergence.begin()
        for k in range(MOST_ITERATIONS):
            atoms.set_initial_magnetic_moments(turn.middle)
            field, _ = evaluated(atoms, "magnetic_forces", "forces")
            self.evaluations += 1
            if self.convergence.found(turn.by(self.history.evaluated(k == 0, field, turn.middle) + outer)):
                return turn.after
        raise InputError(
            f"SpinLatticeDynamics: the spins of a step of {self.dt / units.fs:.3g} fs did not converge in "
            f"{MOST_ITERATIONS} iterations. Use a shorter timestep."
        )

    def draw_noise(self) -> np.ndarray | float:
        """The noise b of the next step (N, 3) in eV/μ_B, constant during the step."""
        if self.thermal_energy * self.damping == 0.0:
            return 0.0
        length = np.linalg.norm(self.atoms.get_initial_magnetic_moments(), axis=1, keepdims=True)
        variance = 2.0 * self.damping * self.thermal_energy / (self.rate * self.dt)
        # A zero moment has no direction, so it gets no noise.
        deviation = np.sqrt(variance / np.where(length > 0.0, length, np.inf))
        return np.asarray(deviation * self.normals(dynamics.SPINS))

    def rub(self) -> None:
        """Apply friction and its noise to the momenta, exact over a step (an Ornstein–Uhlenbeck process)."""
        if self.friction == 0.0:
            return
        kept = np.exp(-self.friction * self.dt)
        spread = np.sqrt((1.0 - kept**2) * self.thermal_energy * self.masses)
        momenta = kept * self.atoms.get_momenta()
        self.atoms.set_momenta(momenta + spread * self.normals(dynamics.ATOMS))

    def normals(self, purpose: int) -> np.ndarray:
        """The normally distributed random numbers (N, 3) of the next step."""
        return dynamics.normals(self.seed, self.step_number + 1, purpose, self.ids)

    def kick(self) -> None:
        """Advance the momenta by half a step."""
        atoms = self.atoms
        atoms.set_momenta(atoms.get_momenta() + 0.5 * self.dt * atoms.get_forces(md=True))

    def drift(self) -> None:
        """Advance the positions by half a step."""
        atoms = self.atoms
        atoms.set_positions(atoms.get_positions() + 0.5 * self.dt * atoms.get_momenta() / self.masses)

    def _refresh_properties(self) -> None:
        """Evaluate the state after a step only if an observer is due; ase would do so after every step."""
        if any(_is_due(observer[1], self.nsteps) for observer in self.observers):
            super()._refresh_properties()  # type: ignore[no-untyped-call]


def _is_due(interval: int, step: int) -> bool:
    """Whether ase calls an observer at a step."""
    return step % interval == 0 if interval > 0 else step == -interval


def _check(condition: str, **numbers: float) -> None:
    """Raise InputError unless all numbers are finite and fulfil the condition."""
    for name, number in numbers.items():
        if not 0.0 <= number < np.inf or (number == 0.0 and condition == "> 0"):
            raise InputError(f"SpinLatticeDynamics: {name}={number}. Expected a finite number {condition}.")


def _check_bath(temperature_K: float, damping: float, friction: float) -> None:
    if temperature_K > 0.0 and damping == 0.0 and friction == 0.0:
        raise InputError(
            f"SpinLatticeDynamics: temperature_K={temperature_K}, but nothing is coupled to the heat bath. "
            "Give a damping of the spins, e.g. 0.1, or a friction of moving atoms, e.g. 0.01 / units.fs."
        )


def _whole(name: str, number: int, bits: int) -> int:
    if not isinstance(number, int | np.integer) or not 0 <= number < 2**bits:
        raise InputError(
            f"SpinLatticeDynamics: {name}={number}. Expected a whole number >= 0, below 2^{bits}."
        )
    return int(number)


def _vector(field: Sequence[float]) -> np.ndarray:
    values = np.asarray(field, dtype=np.float64)
    if values.shape != (3,) or not np.isfinite(values).all():
        raise InputError(f"SpinLatticeDynamics: field={field}. Expected three finite numbers, in tesla.")
    return values
