"""Spin-lattice dynamics in small: atoms and spins together, by a time-symmetric step of second order.

dS/dt = S × A(S),  A = −(g/ħ)/(1 + α²) · (B + α/|S| S × B),  B = −∂E/∂S + μ_B H + b(t).

The moment S (μ_B) carries the angular momentum ħS/g, so that it precesses about B at the rate g|B|/ħ; the
second term turns it towards B with the damping α. As S × A is across S, |S| stays. H is an outer field.

In a heat bath of temperature T, b is white noise (Stratonovich) with ⟨b_i(t) b_j(t′)⟩ = 2 α k_B T ħ/(g|S|)
δ_ij δ(t − t′): what the damping takes away then comes back, and S visits its sphere with the weight
exp(−E/k_B T) (W. F. Brown, Phys. Rev. 130, 1677 (1963)). The atoms' friction γ has its noise likewise.

A step is half a drift of the atoms, the kick of all momenta and spins by the forces and fields at these
positions and the spins' midpoints, with the friction in its middle, and the other half of the drift. The
midpoints are found by iteration; force and field are of one evaluation.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.md.md import MolecularDynamics

from spinpot.ase.calculator import evaluated
from spinpot.core.errors import InputError
from spinpot.kernels import dynamics

HBAR = units._hbar * units.J * units.second
"""eV × ASE's unit of time."""
BOHR_MAGNETON = 5.7883818060e-5
"""eV/T: the field of 1 tesla in eV/μ_B."""
MOST_ITERATIONS = 30


class SpinLatticeDynamics(MolecularDynamics):
    """Moves spins, and atoms if `lattice`, by a time-reversible second-order step.

    Without damping and bath the energy oscillates with the square of the step and does not drift, and |S| is
    kept exactly.

    timestep: in ASE's units, e.g. 0.1 * units.fs. damping: α. g: the factor between moment and angular
    momentum. field: H (3,), tesla. tolerance: μ_B, to which the spins of a step are iterated;
        without damping to a fifth of it, as the errors of steps add up.
    temperature_K: of the heat bath, to which spins are bound by the damping and atoms by the friction.
    friction: of the atoms, in 1/(ASE's unit of time).
    seed: of the bath, 0 … 2⁶³ − 1; None for one that differs each time; the attribute `seed` has it.
    step_number: of the state that the atoms are in. The noise of a step is a function of the seed, the
        number of the state that it leads to, and the atom's index, so that a run that is continued with its
        seed and step_number has the noise that it would have had.

    evaluations: how often the calculator was asked by the steps so far.

    The spins' step is the spherical midpoint method (McLachlan, Modin, Verdier, Phys. Rev. E 89, 061301,
    2014). Raises InputError where the midpoint is not found: the step is too long for the magnetic forces.
    The atoms are then as before the step.
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
        if np.shape(atoms.get_initial_magnetic_moments()) != (len(atoms), 3):
            raise InputError(
                "SpinLatticeDynamics: the atoms' initial magnetic moments are no vectors. Expected three "
                "numbers (μ_B) per atom: atoms.set_initial_magnetic_moments(moments)."
            )
        super().__init__(atoms, timestep, **options)
        self.lattice = lattice
        self.damping = damping
        self.rate = g / HBAR
        self.thermal_energy = units.kB * temperature_K
        self.friction = friction
        self.seed = _whole("seed", secrets.randbits(63) if seed is None else seed, 63)
        self.field = BOHR_MAGNETON * _vector(field)
        self.step_number = _whole("step_number", step_number, 48)
        self.ids = np.arange(1, len(atoms) + 1)  # as LAMMPS counts
        self.evaluations = 0
        self.convergence = dynamics.Convergence(tolerance, damping)
        self.history = dynamics.History(len(atoms))

    def step(self) -> None:
        """One step; where it fails the atoms are left as they were before it."""
        before = {name: array.copy() for name, array in self.atoms.arrays.items()}
        try:
            self.move()
        except InputError:
            for name, array in before.items():
                self.atoms.arrays[name][:] = array
            raise
        self.step_number += 1

    def zeeman_energy(self) -> float:
        """−μ_B Σ S·H, eV: what the outer field adds to the energy of the calculator."""
        return -float((self.atoms.get_initial_magnetic_moments() @ self.field).sum())

    def move(self) -> None:
        """The parts of a step."""
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
        """S at the end of the step, (N, 3). The atoms are left with the midpoints of the last evaluation."""
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
            f"SpinLatticeDynamics: no midpoint of a step of {self.dt / units.fs:.3g} fs after "
            f"{MOST_ITERATIONS} iterations. Take a shorter timestep."
        )

    def draw_noise(self) -> np.ndarray | float:
        """The field b of the next step (N, 3) in eV/μ_B, the same throughout the step."""
        if self.thermal_energy * self.damping == 0.0:
            return 0.0
        length = np.linalg.norm(self.atoms.get_initial_magnetic_moments(), axis=1, keepdims=True)
        variance = 2.0 * self.damping * self.thermal_energy / (self.rate * self.dt)
        # A moment of zero has no direction to be turned.
        deviation = np.sqrt(variance / np.where(length > 0.0, length, np.inf))
        return np.asarray(deviation * self.normals(dynamics.SPINS))

    def rub(self) -> None:
        """Friction and its noise on the momenta, exactly over a step (an Ornstein–Uhlenbeck process)."""
        if self.friction == 0.0:
            return
        kept = np.exp(-self.friction * self.dt)
        spread = np.sqrt((1.0 - kept**2) * self.thermal_energy * self.masses)
        momenta = kept * self.atoms.get_momenta()
        self.atoms.set_momenta(momenta + spread * self.normals(dynamics.ATOMS))

    def normals(self, purpose: int) -> np.ndarray:
        """The normal numbers (N, 3) of the next step."""
        return dynamics.normals(self.seed, self.step_number + 1, purpose, self.ids)

    def kick(self) -> None:
        """Half a step of the momenta."""
        atoms = self.atoms
        atoms.set_momenta(atoms.get_momenta() + 0.5 * self.dt * atoms.get_forces(md=True))

    def drift(self) -> None:
        """Half a step of the positions."""
        atoms = self.atoms
        atoms.set_positions(atoms.get_positions() + 0.5 * self.dt * atoms.get_momenta() / self.masses)

    def _refresh_properties(self) -> None:
        """Evaluate the state after a step where something looks at it, which ase does after every step."""
        if any(_is_due(observer[1], self.nsteps) for observer in self.observers):
            super()._refresh_properties()  # type: ignore[no-untyped-call]


def _is_due(interval: int, step: int) -> bool:
    """Whether an observer of ase is called at a step."""
    return step % interval == 0 if interval > 0 else step == -interval


def _check(condition: str, **numbers: float) -> None:
    """Raise InputError unless all are finite and as the condition says."""
    for name, number in numbers.items():
        if not 0.0 <= number < np.inf or (number == 0.0 and condition == "> 0"):
            raise InputError(f"SpinLatticeDynamics: {name}={number}. Expected a finite number {condition}.")


def _check_bath(temperature_K: float, damping: float, friction: float) -> None:
    if temperature_K > 0.0 and damping == 0.0 and friction == 0.0:
        raise InputError(
            f"SpinLatticeDynamics: temperature_K={temperature_K}, but nothing is bound to the heat bath: "
            "give the spins a damping, e.g. 0.1, or moving atoms a friction, e.g. 0.01 / units.fs."
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
