"""The score of a frame: its uncertainty divided by the limit. Frames with a score above 1 are candidates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from ase import Atoms

from spinpot.ase.calculator import SpinCalculator, evaluated
from spinpot.core.errors import InputError
from spinpot.data.batch import collate
from spinpot.data.dataset import make_frames
from spinpot.data.from_ase import system_from_atoms
from spinpot.evaluation.predictor import Predictor, load
from spinpot.learning.choose import Environments
from spinpot.learning.settings import Learning
from spinpot.models.checkpoint import checkpoint_file
from spinpot.models.potential import Potential
from spinpot.models.registry import model_class

OF_FORCES = ("forces_sigma", "forces_deviation")
OF_MAGNETIC_FORCES = ("magnetic_forces_sigma", "magnetic_forces_deviation")
"""Results of the calculator: expected errors of one model, and the deviation between several."""


class Judge:
    """Computes scores with the potentials of a round."""

    def __init__(self, runs: Sequence[Path], settings: Learning) -> None:
        self.settings = settings
        self.predictors = [load(checkpoint_file(run)) for run in runs]
        self.first: Predictor = self.predictors[0]
        self.expects: bool | None = None

    def calculator(self) -> SpinCalculator:
        """A new calculator with all potentials, for one trajectory."""
        return SpinCalculator(self.predictors)

    def score(self, atoms: Atoms) -> float:
        """The largest expected error or deviation of an atom, divided by its limit; NaN if one is unknown.

        atoms: with the calculator. Raises InputError if a single model does not predict its errors.
        """
        return float(np.max([value for _, value in self.parts(atoms)]))

    def first_score(self, atoms: Atoms) -> float:
        """The score of a labelled frame. Raises InputError if it is unknown, as in all frames that follow."""
        if np.isnan(score := self.score(atoms)):
            name = next(name for name, value in self.parts(atoms) if np.isnan(value))
            raise InputError(UNKNOWN.format(name=name, what=WHAT[name]))
        return score

    def parts(self, atoms: Atoms) -> list[tuple[str, float]]:
        """Expected errors and deviations divided by their limits, each with the name of the limit."""
        return [
            (limit, float(evaluated(atoms, name)[0].max()) / value)
            for names, limit in ((OF_FORCES, "limit"), (OF_MAGNETIC_FORCES, "limit_mag"))
            if (value := getattr(self.settings, limit)) is not None
            for name in self.known(atoms, names)
        ]

    def known(self, atoms: Atoms, names: tuple[str, str]) -> list[str]:
        """Which of the two results are available."""
        expected, deviation = names
        if self.expects is None:
            own = system_from_atoms(atoms, "explored", atoms.get_initial_magnetic_moments())
            self.expects = all(one.knows_errors(one.systems([own])) for one in self.predictors)
        if not self.expects and len(self.predictors) == 1:
            raise InputError(NO_ERRORS)
        return [expected] * self.expects + [deviation] * (len(self.predictors) > 1)

    def environments(self, atoms: Atoms) -> Environments | None:
        """The features of the atoms; None if the model provides none."""
        own = self.first.systems([system_from_atoms(atoms, "frame", atoms.get_initial_magnetic_moments())])
        batch = collate(list(make_frames(own)), self.first.geometry)
        with torch.no_grad():
            found = self.first.potential.features(batch)
        return None if found is None else Environments(batch.types.numpy(), _flat(found))


NO_ERRORS = (
    "learn.ensemble=1: this model does not know its errors, and a single run has no deviation. Train several "
    "runs, e.g. learn.ensemble=3, or use a model that knows its errors (model=native_spin, initialised by "
    "least squares)."
)


WHAT = {"limit": "forces", "limit_mag": "magnetic forces"}
UNKNOWN = (
    "learn.{name}: the expected errors of the {what} are unknown (NaN), even for labelled frames. They are "
    "calibrated with the validation frames, which need labels of the {what}. Start a new folder: with other "
    "validation frames, validation.systems=[DIR], or without the {what}, learn.{name}=null."
)


def check_knows(kind: str, settings: Learning) -> None:
    """Raise InputError for a single run of a kind of model that never predicts its errors."""
    knows = model_class(kind).uncertainty is not Potential.uncertainty
    if settings.ensemble == 1 and not knows:
        raise InputError(NO_ERRORS)


def _flat(features: torch.Tensor) -> np.ndarray:
    return features.flatten(1).double().numpy()
