"""One structure whose atoms and moments move: what stays as it is gets checked and laid out once."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
from torch import Tensor

from spinpot.core.conventions import EXPECTED_PER_FRAME, PER_FRAME
from spinpot.data.batch import collate, moved
from spinpot.data.dataset import make_frame
from spinpot.data.geometry import Structures
from spinpot.data.systems import System, check_finite
from spinpot.evaluation.predictor import Predictor

SAME_LENGTH = 1e-9
"""μ_B: moments whose lengths have changed by less need no new look."""


class Moving:
    """Predictions for the single frame of a system, and for other positions and moments of its atoms.

    Warns as a call of the predictor. Raises InputError as that does.
    """

    def __init__(self, predictor: Predictor, system: System, speaker: str) -> None:
        """speaker: who warns."""
        (self.system,) = predictor.systems([system])
        predictor.spec.check(self.system)
        self.predictor, self.speaker = predictor, speaker
        self.n_atoms = np.array([self.system.n_atoms])
        self.pbc = np.array([self.system.pbc])
        self.batch = collate([make_frame(self.system, 0)], predictor.geometry)
        self.look(self.system)

    def look(self, system: System) -> None:
        """At moments that the model does not know."""
        self.lengths = np.linalg.norm(system.spin, axis=-1)
        for line in self.predictor.watch.new([system]):
            warnings.warn(f"{self.speaker}: {line}", stacklevel=2)

    def move(self, coord: np.ndarray, spin: np.ndarray) -> None:
        """The same atoms at other positions (N, 3), Å, with other moments (N, 3), μ_B."""
        there = replace(self.system, coord=coord[None].copy(), spin=spin[None].copy())
        check_finite(there)
        if np.abs(np.linalg.norm(there.spin, axis=-1) - self.lengths).max() > SAME_LENGTH:
            self.look(there)
        self.batch = moved(
            self.batch,
            Structures(
                self.n_atoms, np.asarray(there.box), self.pbc, there.types, there.coord[0], there.spin[0]
            ),
            self.predictor.geometry,
        )

    def predict(self, uncertainty: bool = False, energy_alone: bool = False) -> dict[str, np.ndarray]:
        """By the names of spinpot.core.conventions: numbers of the frame, and arrays (N, …) of its atoms."""
        found = self.predictor.evaluate(self.batch, uncertainty, energy_alone)
        return {name: _of_frame(name, values) for name, values in found.items()}


def _of_frame(name: str, values: Tensor) -> np.ndarray:
    array: np.ndarray = values.numpy()
    return array[0] if name in PER_FRAME or name in EXPECTED_PER_FRAME else array
