"""The label of a configuration, and the interface of a labeller."""

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

    energy: eV, consistent with the forces, without the penalty of a constraint.
    forces: (N, 3), eV/Å. moments: (N, 3), μ_B, as calculated, not the targets.
    magnetic_forces: (N, 3), −dE/dS in eV/μ_B.
    virial: (3, 3), eV; None unless the labeller's virial is reliable.
    details: iterations, seconds, residuals of the calculation; plain data for JSON.
    """

    energy: float
    forces: Array
    moments: Array
    magnetic_forces: Array
    virial: Array | None = None
    details: dict[str, Any] = field(default_factory=dict)

    def as_plain(self) -> dict[str, Any]:
        """All fields as plain data for JSON, without loss of precision."""
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
        """The inverse of `as_plain`."""
        arrays: dict[str, Any] = {
            name: None if plain[name] is None else np.array(plain[name], dtype=np.float64)
            for name in ("forces", "moments", "magnetic_forces", "virial")
        }
        return cls(energy=plain["energy"], details=plain["details"], **arrays)


class FrameError(Exception):
    """A configuration could not be labelled; the message says why, e.g. `not converged after 200 iterations`.

    The frame is recorded as failed, and labelling continues with the next one.
    """


class Labeller(Protocol):
    """A code that labels configurations; the `_target_` of a config in configs/label/*.yaml."""

    isotropic: bool
    """Whether a common rotation of all moments conserves the energy (no spin–orbit coupling, no dipoles).

    Σ S × F_mag must then vanish, which is checked for each frame.
    """

    def check(self, configurations: Sequence[Configuration]) -> None:
        """Raise InputError, before the first calculation, for problems that are certain to occur.

        Examples: a missing package or command, an element without a setup, lengths to be held by a code that
        can only hold directions.
        """

    def provenance(self) -> dict[str, Any]:
        """Plain data: code, version, settings, what is constrained, whether there are longitudinal forces."""

    def label(self, configuration: Configuration, folder: Path) -> Label:
        """Compute the label. folder: an empty folder for the files of the code. Raises FrameError."""
