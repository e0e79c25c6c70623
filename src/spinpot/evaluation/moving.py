"""Predictions for one structure with moving atoms and moments; fixed data are checked and set up once."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np

from spinpot.core.conventions import EXPECTED_PER_FRAME, PER_FRAME
from spinpot.data.batch import collate, moved
from spinpot.data.dataset import make_frame
from spinpot.data.frame_checks import check_finite
from spinpot.data.systems import System
from spinpot.evaluation.predictor import Predictor

SAME_LENGTH = 1e-9
"""μ_B. Moments whose lengths change by less are not checked again."""


class Moving:
    """Predictions for the only frame of a system, and for new positions and moments of its atoms.

    Warns and raises InputError like a call of the predictor.
    """

    def __init__(self, predictor: Predictor, system: System, speaker: str) -> None:
        """speaker: the name that warnings begin with."""
        (self.system,) = predictor.systems([system])
        predictor.spec.check(self.system)
        self.predictor, self.speaker = predictor, speaker
        self.batch = collate([make_frame(self.system, 0)], predictor.geometry)
        self.look(self.system)

    def look(self, system: System) -> None:
        """Warn of moments that the model ignores or has not seen in training."""
        self.lengths = np.linalg.norm(system.spin, axis=-1)
        for line in self.predictor.watch.new([system]):
            warnings.warn(f"{self.speaker}: {line}", stacklevel=2)

    def move(self, coord: np.ndarray, spin: np.ndarray) -> None:
        """Set new positions (N, 3), Å, and moments (N, 3), μ_B, of the same atoms."""
        there = replace(self.system, coord=coord[None].copy(), spin=spin[None].copy())
        check_finite(there)
        if np.abs(np.linalg.norm(there.spin, axis=-1) - self.lengths).max() > SAME_LENGTH:
            self.look(there)
        self.batch = moved(self.batch, make_frame(there, 0), self.predictor.geometry)

    def predict(self, uncertainty: bool = False, energy_alone: bool = False) -> dict[str, np.ndarray]:
        """Evaluate the model: numbers per frame and arrays (N, …) per atom, named as in core.conventions."""
        found = self.predictor.evaluate(self.batch, uncertainty, energy_alone)
        per_frame = PER_FRAME.keys() | EXPECTED_PER_FRAME.keys()
        return {name: (own[0] if name in per_frame else own).numpy() for name, own in found.items()}
