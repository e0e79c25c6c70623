"""A configuration, the input of a labeller: atoms and their target moments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Configuration:
    """Atoms and their target moments.

    name: `SYSTEM/0012`. All configurations of a system have the same elements, order of atoms and
    periodicity.
    moments: (N, 3), μ_B: the directions to hold, and initial lengths. Zero marks a non-magnetic atom.
    constrained: (N,), the atoms whose moments are held.
    hold_lengths: whether to hold the lengths of the moments as well, if the code can.
    """

    name: str
    atoms: Atoms
    moments: Array
    constrained: NDArray[np.bool_]
    hold_lengths: bool = False

    @property
    def system(self) -> str:
        """The name without the number of the frame."""
        return self.name.rpartition("/")[0]

    def directions(self) -> Array:
        """Unit vectors (N, 3) along the moments; zero for atoms without a moment."""
        lengths = np.linalg.norm(self.moments, axis=1, keepdims=True)
        return np.asarray(self.moments / np.where(lengths > 0.0, lengths, 1.0))

    def as_plain(self) -> dict[str, Any]:
        """All fields as plain data for JSON, without loss of precision."""
        return {
            "name": self.name,
            "symbols": self.atoms.get_chemical_symbols(),
            "pbc": self.atoms.pbc.tolist(),
            "cell": self.atoms.cell.array.tolist(),
            "positions": self.atoms.positions.tolist(),
            "moments": self.moments.tolist(),
            "constrained": self.constrained.tolist(),
            "hold_lengths": self.hold_lengths,
        }

    @classmethod
    def of_plain(cls, plain: dict[str, Any]) -> Configuration:
        """The inverse of `as_plain`."""
        atoms = Atoms(plain["symbols"], positions=plain["positions"], cell=plain["cell"], pbc=plain["pbc"])
        moments = np.array(plain["moments"], dtype=np.float64).reshape(len(atoms), 3)
        return cls(
            plain["name"], atoms, moments, np.array(plain["constrained"], dtype=bool), plain["hold_lengths"]
        )
