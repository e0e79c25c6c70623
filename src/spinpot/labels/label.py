"""What a labeller gives for a configuration, and what a labeller is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from spinpot.labels.configuration import Array, Configuration


@dataclass(frozen=True)
class Label:
    """The label of one configuration.

    energy: eV, the one that the forces belong to, without the penalty of a constraint.
    forces: (N, 3), eV/Å. moments: (N, 3), μ_B, those found, not the targets.
    magnetic_forces: (N, 3), −dE/dS in eV/μ_B.
    virial: (3, 3), eV, only where the labeller vouches for it.
    details: iterations, seconds, residuals of the calculation; plain data for JSON.
    """

    energy: float
    forces: Array
    moments: Array
    magnetic_forces: Array
    virial: Array | None = None
    details: dict[str, Any] = field(default_factory=dict)

    def as_plain(self) -> dict[str, Any]:
        """Everything as plain data for JSON, to the last bit."""
        return {
            "energy": float(self.energy),
            "forces": self.forces.tolist(),
            "moments": self.moments.tolist(),
            "magnetic_forces": self.magnetic_forces.tolist(),
            "virial": None if self.virial is None else self.virial.tolist(),
            "details": self.details,
        }

    @classmethod
    def of_plain(cls, plain: dict[str, Any]) -> Label:
        """What `as_plain` gave."""
        arrays: dict[str, Any] = {
            name: None if plain[name] is None else np.array(plain[name], dtype=np.float64)
            for name in ("forces", "moments", "magnetic_forces", "virial")
        }
        return cls(energy=plain["energy"], details=plain["details"], **arrays)


class FrameError(Exception):
    """A configuration has no label; the message says why, e.g. `not converged after 200 iterations`.

    The frame is recorded as failed and the next one is taken.
    """


class Labeller(Protocol):
    """A code that labels configurations: a target of configs/label/*.yaml."""

    isotropic: bool
    """Whether the energy stays when all moments turn together: no spin–orbit coupling, no dipole interaction.

    Σ S × F_mag must then vanish, which is checked for each frame.
    """

    def check(self, configurations: Sequence[Configuration]) -> None:
        """Raise InputError, before the first calculation, for what is known to fail.

        A package or command that is missing, an element without a setup, lengths held by a code that holds
        directions only.
        """

    def provenance(self) -> dict[str, Any]:
        """Plain data: the code, its version, the settings, what is constrained, whether |S| has a force."""

    def label(self, configuration: Configuration, folder: Path) -> Label:
        """The label. folder: an empty folder for the code's own files, which stay. Raises FrameError."""
