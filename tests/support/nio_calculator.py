"""The built-in Hamiltonian of NiO as an ASE calculator, a model with known exchange."""

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from spinpot.data import nio

PRIMITIVE = ((1, 0.5, 0.5), (0.5, 1, 0.5), (0.5, 0.5, 1))
"""Of the magnetic cell of AFM-II, in units of the lattice constant: 2 Ni and 2 O."""


class NiOCalculator(Calculator):
    """What SpinCalculator has: energy, forces, stress and magnetic_forces."""

    implemented_properties = ["energy", "free_energy", "forces", "stress", "magnetic_forces"]  # noqa: RUF012

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)):
        super().calculate(atoms, properties, system_changes)
        found = nio.labels(frame_of(self.atoms))
        energy = float(found["energy"])
        stress = -found["virial"] / self.atoms.get_volume()
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "forces": found["force"],
            "magnetic_forces": found["force_mag"],
            "stress": full_3x3_to_voigt_6_stress((stress + stress.T) / 2),
        }

    def reach(self, atoms):
        """Å: two Ni act on each other directly up to the cutoff, and over an oxygen twice as far as a leg."""
        return max(nio.CUTOFF, 2 * nio.LEG_SWITCH[1])

    def training_crystals(self):
        """As of a model that was trained on a large cell."""
        return [{"Ni432O432": [6.0 * nio.LATTICE_CONSTANT * np.array(PRIMITIVE)]}]

    def drawn(self, number):
        return []


def frame_of(atoms: Atoms) -> nio.Structure:
    types = np.where(atoms.numbers == 28, nio.NICKEL, nio.OXYGEN)
    return nio.Structure(
        types, atoms.cell.array, atoms.positions, np.array(atoms.get_initial_magnetic_moments(), dtype=float)
    )


def nio_atoms(cell=PRIMITIVE, **options) -> Atoms:
    """Perfect NiO, AFM-II unless `order` says otherwise. The options are nio.structure's."""
    frame = nio.structure(cell, **options)
    symbols = [nio.TYPE_NAMES[kind] for kind in frame.types]
    atoms = Atoms(symbols, positions=frame.coord, cell=frame.box, pbc=True)
    atoms.set_initial_magnetic_moments(frame.spin)
    return atoms


def ferromagnetic() -> Atoms:
    """NiO with all moments of Ni parallel."""
    atoms = nio_atoms()
    length = np.linalg.norm(atoms.get_initial_magnetic_moments(), axis=1)
    atoms.set_initial_magnetic_moments(length[:, None] * [0.0, 0.0, 1.0])
    return atoms
