"""Atoms with the moments that they shall have: what a labeller is asked about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Configuration:
    """Atoms and the moments they shall have.

    name: `SYSTEM/0012`; all of one system have the same elements in the same order, and periodicity.
    moments: (N, 3), μ_B; the directions to hold, and the lengths to start from. Zero: a non-magnetic atom.
    constrained: (N,), the atoms whose moment is held.
    hold_lengths: whether the moments' lengths are held as well, where the code can.
    """

    name: str
    atoms: Atoms
    moments: Array
    constrained: NDArray[np.bool_]
    hold_lengths: bool = False

    @property
    def system(self) -> str:
        """The name without the frame's number."""
        return self.name.rpartition("/")[0]

    def directions(self) -> Array:
        """Unit vectors (N, 3) of the moments; zero where there is none."""
        lengths = np.linalg.norm(self.moments, axis=1, keepdims=True)
        return np.asarray(self.moments / np.where(lengths > 0.0, lengths, 1.0))

    def as_plain(self) -> dict[str, Any]:
        """Everything as plain data for JSON, to the last bit."""
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
        """What `as_plain` gave."""
        atoms = Atoms(plain["symbols"], positions=plain["positions"], cell=plain["cell"], pbc=plain["pbc"])
        moments = np.array(plain["moments"], dtype=np.float64).reshape(len(atoms), 3)
        return cls(
            plain["name"], atoms, moments, np.array(plain["constrained"], dtype=bool), plain["hold_lengths"]
        )
