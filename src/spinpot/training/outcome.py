"""The result of a run: the best checkpoint's errors and predictions, beside trivial baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spinpot.core.files import null_for_nan
from spinpot.data.batch import Batch
from spinpot.data.datamodule import SpinDataModule
from spinpot.evaluation.predictor import Arrays, assemble
from spinpot.loss.baselines import Predict, dataset_errors, mean_of, spread_of
from spinpot.loss.heisenberg import NAME as HEISENBERG_FIT
from spinpot.loss.score import Score
from spinpot.models.potential import Potential


@dataclass(frozen=True)
class Outcome:
    """Errors on one set of frames, as ErrorMetric gives them, and the predictions for each of its systems."""

    frames: int
    errors: dict[str, float]
    labels_spread: dict[str, float]
    training_mean: dict[str, float]
    heisenberg: dict[str, float] | None
    predictions: Sequence[Arrays]


def outcomes(
    potential: Potential, data: SpinDataModule, heisenberg: Predict | None, scale: Tensor | None = None
) -> dict[str, Outcome]:
    """The outcome on the validation and, where there is one, the test set, by their names.

    scale: (T,), the c of loss.label_scale_fm.
    """
    names = [name for name in ("validation", "test") if name in data.datasets]
    return {name: _outcome(potential, data, name, heisenberg, scale) for name in names}


def _outcome(
    potential: Potential,
    data: SpinDataModule,
    name: str,
    heisenberg: Predict | None,
    scale: Tensor | None,
) -> Outcome:
    dataset, use_spin = data.datasets[name], potential.spec.use_spin
    predicted: list[dict[str, Tensor]] = []
    # The baselines predict the labels themselves.
    own = None if scale is None else torch.ones_like(scale)

    def predict(batch: Batch) -> dict[str, Tensor]:
        predicted.append(potential(batch))
        return predicted[-1]

    return Outcome(
        frames=len(dataset),
        errors=dataset_errors(predict, dataset, use_spin, data.validation_batch_size, scale),
        labels_spread=dataset_errors(spread_of(dataset.systems), dataset, use_spin, scale=own),
        training_mean=dataset_errors(mean_of(data.systems["train"]), dataset, use_spin, scale=own),
        heisenberg=heisenberg and dataset_errors(heisenberg, dataset, use_spin, scale=own),
        predictions=assemble(dataset.systems, predicted),
    )


def columns_of(outcome: Outcome) -> dict[str, dict[str, float]]:
    """The columns of a table of errors."""
    return {
        "best checkpoint": outcome.errors,
        "labels' own spread": outcome.labels_spread,
        "training mean": outcome.training_mean,
        **({HEISENBERG_FIT: outcome.heisenberg} if outcome.heisenberg else {}),
    }


def errors_of(found: Mapping[str, Outcome], score: Score) -> dict[str, Any]:
    """The errors as summary.json holds them: "val" with its score, "test", and the "baselines" of each.

    "score_terms" are the errors of which the score is the mean.
    """
    short = {"validation": "val", "test": "test"}
    errors = {short[name]: null_for_nan(outcome.errors) for name, outcome in found.items()}
    validation = found["validation"].errors
    errors["val"] |= null_for_nan({"score": score(validation)})
    baselines = {
        short[name]: {
            "labels_spread": null_for_nan(outcome.labels_spread),
            "training_mean": null_for_nan(outcome.training_mean),
            **({"heisenberg": null_for_nan(outcome.heisenberg)} if outcome.heisenberg else {}),
        }
        for name, outcome in found.items()
    }
    return {**errors, "score_terms": null_for_nan(score.ratios(validation)), "baselines": baselines}
