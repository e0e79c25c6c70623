"""The end of a run: compare the best checkpoint's errors with trivial baselines; print and write them."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import torch
from torch import Tensor

from spinpot.core.console import print_line
from spinpot.core.errors import InputError
from spinpot.core.files import null_for_nan, write_atomically
from spinpot.core.provenance import device_name, git_commit, versions
from spinpot.data.batch import Batch
from spinpot.data.datamodule import SpinDataModule
from spinpot.evaluation.predictor import Arrays, assemble
from spinpot.loss.baselines import Predict, dataset_errors, mean_of, spread_of
from spinpot.loss.label_scale import label_scale_of
from spinpot.loss.score import Score, verdict
from spinpot.models.checkpoint import checkpoint_file, potential_from, read_checkpoint
from spinpot.models.potential import Potential
from spinpot.report.page import REPORT
from spinpot.report.tables import print_errors, print_label_scale
from spinpot.runs.run_page import SETS, beside_baselines, write_run_report
from spinpot.training.checks import no_labels
from spinpot.training.stages import Checked, Ready


def finish(checked: Checked, run: Ready) -> dict[str, Any]:
    """Evaluate the best checkpoint and the baselines; print the errors; write summary, pictures and page."""
    folder, trainer, timer, graphs = checked.folder, checked.trainer, checked.timer, checked.graphs
    data, baseline, trained = run.data, run.baseline, checked.loss.active
    best = checkpoint_file(folder)
    checkpoint = read_checkpoint(best)
    potential = potential_from(checkpoint, best)
    scale = label_scale_of(checkpoint)
    by_element = scale.by_element(data.type_map) if scale else None
    numbers = scale().detach() if scale else None
    found = {
        short: outcome(potential, data, name, baseline.fit, numbers)
        for short, name in SETS.items()
        if name in data.datasets
    }
    for name, broken in data.broken.items():
        if broken.frames:
            print_line(f"data.skip_broken left out {len(broken.frames)} frames of data.{name}.")
    for short, own in found.items():
        columns = beside_baselines(own.errors, own.baselines)
        print_errors(f"Errors on the {SETS[short]} set ({own.frames} frames)", columns, trained)
    print_line(baseline.words)
    print_label_scale(by_element)
    summary = {
        "steps": trainer.global_step,
        "seconds_per_step": timer.seconds_per_step,
        "train_seconds": timer.train_seconds,
        "finished": datetime.now().astimezone().isoformat(timespec="seconds"),
        "device": device_name(trainer.strategy.root_device, trainer.world_size),
        **({"evaluation": graphs.evaluation} if graphs.evaluation else {}),
        **({"cuda_graph": graphs.outcome} if graphs.outcome else {}),
        "checkpoint": {"file": best.name, "step": checkpoint["global_step"]},
        "loss_terms": trained,
        **errors_of(found, run.module.score),
        "heisenberg_fit": baseline.words,
        **({"label_scale_fm": by_element} if by_element else {}),
        "model": potential.describe(),
        **potential.approximation(data.samples["validation"].batch([0])),
        "data": data.described,
        "git_commit": git_commit(),
        "versions": versions(),
    }
    validation = data.samples["validation"].systems, found["val"].predictions
    drawn = checked.plain.get("report", True)
    try:
        if drawn:
            write_run_report(folder, *validation, summary, checked.plain)
    finally:
        # Written last, because summary.json marks the run as finished; but also if a picture fails.
        write_atomically(folder / "summary.json", json.dumps(summary, indent=2) + "\n")
    if trainer.global_step and not checkpoint["global_step"]:
        print_line(
            "Training did not lower val/score: the best checkpoint is the least-squares fit before the first "
            "step. Lower scheduler.start_lr, or train longer."
        )
    if useless := verdict(summary["val"]["score"], summary["score_terms"]):
        print_line(useless)
    written = folder / (REPORT if drawn else "summary.json")
    print_line(f"Written: {written}")
    return summary


@dataclass(frozen=True)
class Outcome:
    """Errors on one set of frames (see ErrorMetric), and predictions for the systems of its sample.

    baselines: the errors of each baseline in run_page.BASELINES.
    """

    frames: int
    errors: dict[str, float]
    baselines: dict[str, dict[str, float]]
    predictions: Sequence[Arrays]


def outcome(
    potential: Potential,
    data: SpinDataModule,
    name: str,
    heisenberg: Predict | None,
    scale: Tensor | None,
) -> Outcome:
    """The outcome on one set of frames. scale: (T,), the factors c of loss.label_scale_fm."""
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
    """The errors in the form of summary.json: "val" with its score, "test", and the "baselines" of each.

    "score_terms" are the relative errors whose mean is the score.
    """
    errors = {short: null_for_nan(outcome.errors) for short, outcome in found.items()}
    validation = found["val"].errors
    errors["val"] |= null_for_nan({"score": score(validation)})
    baselines = {
        short: {name: null_for_nan(own) for name, own in outcome.baselines.items()}
        for short, outcome in found.items()
    }
    return {**errors, "score_terms": null_for_nan(score.ratios(validation)), "baselines": baselines}


def optimized_metric(name: str, summary: dict[str, Any]) -> float | None:
    """The number that a sweep minimises, taken from a run's summary; infinite if it is not finite.

    None on processes without a summary. Raises InputError if the validation data have no labels for it.
    """
    if not summary:
        return None
    value = summary["val"].get(name)
    if value is not None:
        return float(value)
    spread = summary["baselines"]["val"]["labels_spread"]
    if name != "score" and spread.get(name) is None:
        raise InputError(no_labels(f"optimized_metric={name}", name.partition("_")[2], "validation"))
    return math.inf
