"""The result of a run: the best checkpoint's errors and predictions, beside trivial baselines."""

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
from spinpot.loss.score import Score
from spinpot.models.potential import Potential
from spinpot.runs.run_page import SETS


@dataclass(frozen=True)
class Outcome:
    """Errors on one set of frames, as ErrorMetric gives them, and predictions for the systems of its sample.

    baselines: the errors of each of run_page.BASELINES.
    """

    frames: int
    errors: dict[str, float]
    baselines: dict[str, dict[str, float]]
    predictions: Sequence[Arrays]


def outcomes(
    potential: Potential, data: SpinDataModule, heisenberg: Predict | None, scale: Tensor | None = None
) -> dict[str, Outcome]:
    """The outcome on the validation and, where there is one, the test set, by their names in summary.json.

    scale: (T,), the c of loss.label_scale_fm.
    """
    return {
        short: _outcome(potential, data, name, heisenberg, scale)
        for short, name in SETS.items()
        if name in data.datasets
    }


def _outcome(
    potential: Potential,
    data: SpinDataModule,
    name: str,
    heisenberg: Predict | None,
    scale: Tensor | None,
) -> Outcome:
    dataset, use_spin = data.datasets[name], potential.spec.use_spin
    baselines: dict[str, Predict] = {
        "labels_spread": spread_of(data.sampled[name]),
        "training_mean": mean_of(data.sampled["train"]),
        **({"heisenberg": heisenberg} if heisenberg else {}),
    }
    predicted: list[dict[str, Tensor]] = []
    sample, size = data.samples[name], data.validation_batch_size
    # The baselines predict the labels themselves.
    own = None if scale is None else torch.ones_like(scale)

    def predict(batch: Batch) -> dict[str, Tensor]:
        predicted.append(potential(batch))
        return predicted[-1]

    errors = dataset_errors(predict if dataset is sample else potential, dataset, use_spin, size, scale)
    return Outcome(
        frames=len(dataset),
        errors=errors,
        baselines={
            name: dataset_errors(baseline, dataset, use_spin, scale=own)
            for name, baseline in baselines.items()
        },
        predictions=assemble(sample.systems, predicted or map(potential, sample.batches(size))),
    )


def errors_of(found: Mapping[str, Outcome], score: Score) -> dict[str, Any]:
    """The errors as summary.json holds them: "val" with its score, "test", and the "baselines" of each.

    "score_terms" are the errors of which the score is the mean.
    """
    errors = {short: null_for_nan(outcome.errors) for short, outcome in found.items()}
    validation = found["val"].errors
    errors["val"] |= null_for_nan({"score": score(validation)})
    baselines = {
        short: {name: null_for_nan(own) for name, own in outcome.baselines.items()}
        for short, outcome in found.items()
    }
    return {**errors, "score_terms": null_for_nan(score.ratios(validation)), "baselines": baselines}
