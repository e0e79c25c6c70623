"""What the errors of a run are measured by: the labels' spread, the score and the Heisenberg fit."""

from __future__ import annotations

from functools import cache

from spinpot.core.notes import Notes
from spinpot.data.datamodule import SpinDataModule
from spinpot.loss.baselines import dataset_errors, spread_of
from spinpot.loss.ener_spin import EnerSpinLoss
from spinpot.loss.heisenberg import Baseline, fitted_to
from spinpot.loss.label_scale import fixed_scale
from spinpot.loss.score import Score
from spinpot.models.spec import Spec


def score_of(data: SpinDataModule, spec: Spec, loss: EnerSpinLoss) -> Score:
    """The score of a loss by the validation set."""

    @cache
    def spread(name: str) -> dict[str, float]:
        return dataset_errors(spread_of(data.systems[name]), data.datasets[name], spec.use_spin)

    return Score(loss.active, spread("validation"), lambda: spread("train"))


def heisenberg_baseline(data: SpinDataModule, spec: Spec, loss: EnerSpinLoss) -> Baseline:
    """Fitted to the training frames, to be judged on the others."""
    judged = [system for name, systems in data.systems.items() if name != "train" for system in systems]
    return fitted_to(data.systems["train"], judged, spec, fixed_scale(loss.label_scale_fm, spec.use_spin))


def notes_on_measures(data: SpinDataModule, spec: Spec, score: Score) -> Notes:
    """What to say before the first step: labels that set no scale, frames denser than any in training."""
    notes = Notes()
    for line in score.notes:
        notes.add(f"look: {line}")
    for name, dataset in data.datasets.items():
        if name != "train" and (unlike := spec.unlike_training(dataset)):
            notes.add(f"look: {unlike}")
    return notes
