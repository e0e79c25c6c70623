"""Relaxation of spins, alone or together with the atoms, with any of ASE's optimizers."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from ase import Atoms
from ase.filters import Filter

from spinpot.ase.calculator import vector_moments
from spinpot.core.errors import InputError
from spinpot.core.vectors import transverse, unit

Relaxed = Literal["directions", "lengths", "both"]


class SpinFilter(Filter):
    """Lets an optimizer move the spins of atoms, and their positions if `positions`.

    `BFGS(SpinFilter(atoms, "directions")).run(fmax=0.001)`; fmax is in eV/Å for positions, eV/μ_B for spins.

    Each spin has three variables x (3,), which start at the spin S₀: S(x) = |S₀| x/|x| for directions, S(x) =
    (x·n)n with n = S₀/|S₀| for lengths, and S(x) = x for both. The forces are the exact −dE/dx. A zero spin
    stays zero unless `both` are relaxed.
    """

    def __init__(self, atoms: Atoms, spins: Relaxed = "both", positions: bool = False) -> None:
        if spins not in ("directions", "lengths", "both"):
            raise InputError(f"SpinFilter: spins={spins!r}. Expected directions, lengths or both.")
        super().__init__(atoms, indices=range(len(atoms)))  # type: ignore[no-untyped-call]
        self.spins = spins
        self.moves_atoms = positions
        self.x = vector_moments(atoms, "SpinFilter")
        self.length = np.linalg.norm(self.x, axis=1, keepdims=True)
        self.direction = unit(self.x)

    def __len__(self) -> int:
        return len(self.atoms) * (2 if self.moves_atoms else 1)

    def get_positions(self) -> np.ndarray:
        """The variables: positions if they are relaxed (Å), then the spin variables x (μ_B)."""
        return np.vstack((self.atoms.get_positions(), self.x)) if self.moves_atoms else self.x.copy()

    def set_positions(self, positions: np.ndarray, **options: Any) -> None:
        """Set the variables, in the order of get_positions. options: those of Atoms.set_positions."""
        if self.moves_atoms:
            self.atoms.set_positions(positions[: len(self.atoms)], **options)
        self.x = np.array(positions[-len(self.atoms) :])
        self.atoms.set_initial_magnetic_moments(self._spin())

    def get_forces(self) -> np.ndarray:
        """−dE/d(variables): eV/Å for positions, then eV/μ_B for spins."""
        magnetic = self.atoms.calc.get_property("magnetic_forces", self.atoms)
        spin_forces = self._pull_back(magnetic)
        return np.vstack((self.atoms.get_forces(), spin_forces)) if self.moves_atoms else spin_forces

    def _spin(self) -> np.ndarray:
        if self.spins == "directions":
            return np.asarray(self.length * unit(self.x))
        if self.spins == "lengths":
            return np.asarray((self.x * self.direction).sum(axis=1, keepdims=True) * self.direction)
        return self.x.copy()

    def _pull_back(self, magnetic: np.ndarray) -> np.ndarray:
        """Transform −∂E/∂S to −∂E/∂x."""
        if self.spins == "directions":
            norm = np.linalg.norm(self.x, axis=1, keepdims=True)
            return np.asarray(self.length / np.where(norm > 0.0, norm, 1.0) * transverse(magnetic, self.x))
        if self.spins == "lengths":
            return np.asarray((magnetic * self.direction).sum(axis=1, keepdims=True) * self.direction)
        return magnetic
