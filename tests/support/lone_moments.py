"""Atoms and moments that do not interact: models with known equilibrium."""

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes


class LoneMoments(Calculator):
    """E = −Σ (B·S + D S_z²) + k/2 Σ R²: moments in a field with an easy axis, atoms on springs."""

    implemented_properties = ("energy", "free_energy", "forces", "magnetic_forces")
    k = 2.0

    def __init__(self, field=0.0, anisotropy=0.0):
        super().__init__()
        self.field = np.array([0.0, 0.0, field])
        self.anisotropy = anisotropy

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)):
        super().calculate(atoms, properties, system_changes)
        S, R = self.atoms.get_initial_magnetic_moments(), self.atoms.positions
        axial = self.anisotropy * S * [0.0, 0.0, 1.0]
        energy = 0.5 * self.k * (R**2).sum() - (S * (self.field + axial)).sum()
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "forces": -self.k * R,
            "magnetic_forces": self.field + 2.0 * axial,
        }


def many(count, length, calculator):
    atoms = Atoms(f"Ni{count}", positions=np.zeros((count, 3)), cell=[9, 9, 9], pbc=True)
    atoms.set_initial_magnetic_moments(np.tile([length, 0.0, 0.0], (count, 1)))
    atoms.calc = calculator
    return atoms
