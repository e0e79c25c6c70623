"""How uncertain a potential is of a frame: in parts of the limit, above which the frame is to be labelled."""

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
"""Results of the calculator: what the model expects, and the deviation of several."""


class Judge:
    """The potentials of a round's runs, and what they say of a frame."""

    def __init__(self, runs: Sequence[Path], settings: Learning) -> None:
        self.settings = settings
        self.predictors = [load(checkpoint_file(run)) for run in runs]
        self.first: Predictor = self.predictors[0]
        self.expects: bool | None = None

    def calculator(self) -> SpinCalculator:
        """Of all potentials, for one trajectory."""
        return SpinCalculator(self.predictors)

    def score(self, atoms: Atoms) -> float:
        """The largest expected error, or deviation, of an atom, in parts of its limit.

        atoms: with the calculator. Raises InputError where one model alone does not expect errors.
        """
        parts = [
            float(evaluated(atoms, name)[0].max()) / limit
            for names, limit in (
                (OF_FORCES, self.settings.limit),
                (OF_MAGNETIC_FORCES, self.settings.limit_mag),
            )
            if limit is not None
            for name in self.known(atoms, names)
        ]
        return max(parts)

    def known(self, atoms: Atoms, names: tuple[str, str]) -> list[str]:
        """Which of the two results there are."""
        expected, deviation = names
        if self.expects is None:
            own = system_from_atoms(atoms, "explored", atoms.get_initial_magnetic_moments())
            self.expects = all(one.knows_errors(one.systems([own])) for one in self.predictors)
        if not self.expects and len(self.predictors) == 1:
            raise InputError(NO_ERRORS)
        return [expected] * self.expects + [deviation] * (len(self.predictors) > 1)

    def environments(self, atoms: Atoms) -> Environments | None:
        """The atoms by the model's features; None if it has none."""
        own = self.first.systems([system_from_atoms(atoms, "frame", atoms.get_initial_magnetic_moments())])
        batch = collate(list(make_frames(own)), self.first.geometry)
        with torch.no_grad():
            found = self.first.potential.features(batch)
        return None if found is None else Environments(batch.types.numpy(), _flat(found))


NO_ERRORS = (
    "learn.ensemble=1: this model does not know what errors to expect, and one run has no deviation. Give "
    "learn.ensemble=3, say, for several runs, or a model that knows them (model=native_spin, begun by its "
    "least squares)."
)


def check_knows(kind: str, settings: Learning) -> None:
    """Raise InputError for a kind of model that never expects errors, where there is one run."""
    knows = model_class(kind).uncertainty is not Potential.uncertainty
    if settings.ensemble == 1 and not knows:
        raise InputError(NO_ERRORS)


def _flat(features: torch.Tensor) -> np.ndarray:
    return features.flatten(1).double().numpy()
