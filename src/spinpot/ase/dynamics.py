"""Spin-lattice dynamics in small: velocity Verlet for the atoms, Landau–Lifshitz for the spins.

dS/dt = S × A(S),  A = −(g/ħ)/(1 + α²) · (B + α/|S| S × B),  B = −∂E/∂S + b(t).

The moment S (μ_B) carries the angular momentum ħS/g, so that it precesses about B at the rate g|B|/ħ; the
second term turns it towards B with the damping α. As S × A is across S, |S| stays.

In a heat bath of temperature T, b is white noise (Stratonovich) with ⟨b_i(t) b_j(t′)⟩ = 2 α k_B T ħ/(g|S|)
δ_ij δ(t − t′): what the damping takes away then comes back, and S visits its sphere with the weight
exp(−E/k_B T) (W. F. Brown, Phys. Rev. 130, 1677 (1963)). The atoms' friction γ has its noise likewise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms, units
from ase.md.md import MolecularDynamics

from spinpot.core.errors import InputError
from spinpot.core.vectors import unit

HBAR = units._hbar * units.J * units.second
"""eV × ASE's unit of time."""


MOST_ITERATIONS = 30


class SpinLatticeDynamics(MolecularDynamics):
    """Moves spins, and atoms if `lattice`, by a time-reversible second-order step.

    Half a kick and half a drift of the atoms, a step of all spins, and the other halves in reverse. Without
    damping the energy is kept to the order of the step, and |S| exactly.

    timestep: in ASE's units, e.g. 0.1 * units.fs. damping: α. g: the factor between moment and angular
    momentum. tolerance: μ_B, to which the midpoint of a step is iterated.
    temperature_K: of the heat bath, to which spins are bound by the damping and atoms by the friction.
    friction: of the atoms, in 1/(ASE's unit of time). rng: of the bath; a seeded one makes runs repeatable.

    The spins' step is the spherical midpoint method (McLachlan, Modin, Verdier, Phys. Rev. E 89, 061301,
    2014), the lattice's is velocity Verlet with the friction in its middle; without a bath the energy
    oscillates with the square of the step and does not drift. Raises InputError where the midpoint is not
    found: the step is too long for the magnetic forces. The atoms are then as before the step.
    """

    def __init__(
        self,
        atoms: Atoms,
        timestep: float,
        lattice: bool = True,
        damping: float = 0.0,
        g: float = 2.0,
        tolerance: float = 1e-9,
        temperature_K: float = 0.0,
        friction: float = 0.0,
        rng: np.random.Generator | None = None,
        **options: Any,
    ) -> None:
        _check("> 0", timestep=timestep, tolerance=tolerance, g=g)
        _check(">= 0", damping=damping, temperature_K=temperature_K, friction=friction)
        if np.shape(atoms.get_initial_magnetic_moments()) != (len(atoms), 3):
            raise InputError(
                "SpinLatticeDynamics: the atoms' initial magnetic moments are no vectors. Expected three "
                "numbers (μ_B) per atom: atoms.set_initial_magnetic_moments(moments)."
            )
        if temperature_K > 0.0 and not damping > 0.0 and not (lattice and friction > 0.0):
            raise InputError(
                f"SpinLatticeDynamics: temperature_K={temperature_K}, but nothing is bound to the heat bath: "
                "give the spins a damping, e.g. 0.1, or moving atoms a friction, e.g. 0.01 / units.fs."
            )
        super().__init__(atoms, timestep, **options)
        self.lattice = lattice
        self.damping = damping
        self.rate = g / HBAR
        self.tolerance = tolerance
        self.thermal_energy = units.kB * temperature_K
        self.friction = friction
        self.rng = rng if rng is not None else np.random.default_rng()
        self.noise: np.ndarray | float = 0.0

    def step(self) -> None:
        """One step; where it fails the atoms are left as they were before it."""
        before = {name: array.copy() for name, array in self.atoms.arrays.items()}
        try:
            self.move()
        except InputError:
            for name, array in before.items():
                self.atoms.arrays[name][:] = array
            raise

    def move(self) -> None:
        """The parts of a step."""
        self.noise = self.draw_noise()
        if not self.lattice:
            self.turn_spins()
            return
        self.kick()
        self.drift()
        self.turn_spins()
        self.rub()
        self.drift()
        self.kick()

    def draw_noise(self) -> np.ndarray | float:
        """The field b of the next step (N, 3) in eV/μ_B, the same throughout the step."""
        if self.thermal_energy * self.damping == 0.0:
            return 0.0
        length = np.linalg.norm(self.atoms.get_initial_magnetic_moments(), axis=1, keepdims=True)
        variance = 2.0 * self.damping * self.thermal_energy / (self.rate * self.dt)
        # A moment of zero has no direction to be turned.
        deviation = np.sqrt(variance / np.where(length > 0.0, length, np.inf))
        return deviation * self.rng.normal(size=(len(self.atoms), 3))

    def rub(self) -> None:
        """Friction and its noise on the momenta, exactly over a step (an Ornstein–Uhlenbeck process)."""
        if self.friction == 0.0:
            return
        kept = np.exp(-self.friction * self.dt)
        spread = np.sqrt((1.0 - kept**2) * self.thermal_energy * self.masses)
        momenta = self.atoms.get_momenta()
        self.atoms.set_momenta(kept * momenta + spread * self.rng.normal(size=momenta.shape))

    def kick(self) -> None:
        """Half a step of the momenta."""
        atoms = self.atoms
        atoms.set_momenta(atoms.get_momenta() + 0.5 * self.dt * atoms.get_forces(md=True))

    def drift(self) -> None:
        """Half a step of the positions."""
        atoms = self.atoms
        atoms.set_positions(atoms.get_positions() + 0.5 * self.dt * atoms.get_momenta() / self.masses)

    def turn_spins(self) -> None:
        """A step of the spins: each turns about the A of the midpoint, which is found by iteration."""
        before = np.array(self.atoms.get_initial_magnetic_moments(), dtype=np.float64)
        after = rotated(before, self.dt * self.axis(before))
        for _ in range(MOST_ITERATIONS):
            guess, after = after, rotated(before, self.dt * self.axis(midpoint(before, after)))
            if np.abs(after - guess).max(initial=0.0) <= self.tolerance:
                self.atoms.set_initial_magnetic_moments(after)
                return
        raise InputError(
            f"SpinLatticeDynamics: no midpoint of a step of {self.dt / units.fs:.3g} fs after "
            f"{MOST_ITERATIONS} iterations. Take a shorter timestep."
        )

    def axis(self, spin: np.ndarray) -> np.ndarray:
        """A at given spins (N, 3)."""
        self.atoms.set_initial_magnetic_moments(spin)
        field = self.atoms.calc.get_property("magnetic_forces", self.atoms) + self.noise
        towards = self.damping * np.cross(unit(spin), field)
        return np.asarray(-self.rate / (1.0 + self.damping**2) * (field + towards))


def _check(condition: str, **numbers: float) -> None:
    """Raise InputError unless all are finite and as the condition says."""
    for name, number in numbers.items():
        if not 0.0 <= number < np.inf or (number == 0.0 and condition == "> 0"):
            raise InputError(f"SpinLatticeDynamics: {name}={number}. Expected a finite number {condition}.")


def midpoint(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The vectors half way between those of equal lengths, on their sphere; (N, 3)."""
    return np.asarray(unit(one + other) * np.linalg.norm(one, axis=1, keepdims=True))


def rotated(spin: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """S′ with S′ − S = ½(S + S′) × angle, a rotation about `angle`; (N, 3) both. The Cayley transform."""
    a = 0.5 * angle
    square = (a * a).sum(axis=1, keepdims=True)
    along = (a * spin).sum(axis=1, keepdims=True) * a
    return np.asarray((spin * (1.0 - square) + 2.0 * (np.cross(spin, a) + along)) / (1.0 + square))
