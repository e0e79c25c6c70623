"""Labels by built-in Hamiltonians, exact and fast, for tests and tutorials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from spinpot import __version__
from spinpot.core.errors import InputError
from spinpot.data import alloy, nio
from spinpot.data.from_ase import system_from_atoms
from spinpot.data.hamiltonian import labelled
from spinpot.labels.configuration import Configuration
from spinpot.labels.label import Label

Labels = dict[str, np.ndarray]


class HamiltonianLabeller:
    """name: `NiO`, the Hamiltonian of the built-in data set, or `alloy`, a fictitious Fe-Co-O alloy."""

    def __init__(self, name: Literal["NiO", "alloy"] = "NiO") -> None:
        self.name = name
        self.elements = ELEMENTS[name]
        self.isotropic = name == "alloy"  # NiO has dipole interactions

    def check(self, configurations: Sequence[Configuration]) -> None:
        """Raise InputError for elements that the Hamiltonian does not have."""
        found = {symbol for one in configurations for symbol in one.atoms.get_chemical_symbols()}
        if unknown := sorted(found - set(self.elements)):
            raise InputError(
                f"label.name={self.name}: this Hamiltonian has {', '.join(self.elements)} only, not "
                f"{', '.join(unknown)}. Give another structure or labeller."
            )

    def provenance(self) -> dict[str, Any]:
        """The name and the version of the package."""
        return {
            "code": f"spinpot's Hamiltonian {self.name}",
            "version": __version__,
            "constrained": "moments are variables: directions and lengths",
            "longitudinal": True,
        }

    def label(self, configuration: Configuration, folder: Path) -> Label:
        """Compute energy, forces, magnetic forces and virial. Writes no files."""
        found = LABELS[self.name](configuration)
        return Label(
            energy=float(found["energy"]),
            forces=found["force"],
            moments=configuration.moments,
            magnetic_forces=found["force_mag"],
            virial=found["virial"],
        )


def _of_nio(configuration: Configuration) -> Labels:
    atoms = configuration.atoms
    types = np.where(atoms.numbers == 28, nio.NICKEL, nio.OXYGEN)
    return nio.labels(nio.Structure(types, atoms.cell.array, atoms.positions, configuration.moments))


def _of_alloy(configuration: Configuration) -> Labels:
    made = system_from_atoms(configuration.atoms, configuration.name, configuration.moments, alloy.ELEMENTS)
    found = labelled(made, alloy.HAMILTONIAN, alloy.CUTOFF)
    return {name: getattr(found, name)[0] for name in ("energy", "force", "force_mag", "virial")}


LABELS: dict[str, Callable[[Configuration], Labels]] = {"NiO": _of_nio, "alloy": _of_alloy}
ELEMENTS: dict[str, Sequence[str]] = {"NiO": nio.TYPE_NAMES, "alloy": alloy.ELEMENTS}
