"""Evaluates a checkpoint on frames: writes errors, predictions, a parity plot and a page to a folder."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spinpot.core.console import console, counted, print_line
from spinpot.core.conventions import LABELS
from spinpot.core.files import null_for_nan
from spinpot.core.notes import shortened
from spinpot.core.output_folder import all_or_nothing, refuse_existing
from spinpot.core.provenance import git_commit, versions
from spinpot.core.quantities import QUANTITIES
from spinpot.data.description import describe
from spinpot.data.sample import drawn
from spinpot.data.systems import SAMPLE, System, in_memory, read_systems
from spinpot.evaluation.expected import expected_errors, print_expected
from spinpot.evaluation.page import evaluation_page, trained_terms
from spinpot.evaluation.parity import parity_points
from spinpot.evaluation.predictor import Arrays, Predicted, Predictor, assemble
from spinpot.evaluation.residuals import print_symmetry, symmetry_residuals
from spinpot.looks.sets import look_at
from spinpot.loss.baselines import spread_of
from spinpot.loss.heisenberg import NAME as HEISENBERG_FIT
from spinpot.loss.heisenberg import Baseline, stored_for
from spinpot.loss.label_scale import LabelScale, label_scale_of
from spinpot.loss.metrics import ErrorMetric
from spinpot.models.checkpoint import ENTRY, HEISENBERG
from spinpot.models.files import read_contents
from spinpot.report.page import REPORT
from spinpot.report.panels import expected_panels, parity_panels
from spinpot.report.plots import parity_figure
from spinpot.report.style import LIGHT, save_figure, themed
from spinpot.report.tables import print_errors, print_label_scale

EVALUATION = "evaluation.json"
PARITY = "parity.png"


def evaluate(
    checkpoint: str | Path, systems: str | Sequence[str], output: str | Path, batch_size: int = 8
) -> dict[str, Any]:
    """Predict all frames and write evaluation.json, report.html, parity.png and one .npz per system.

    Returns the contents of evaluation.json: errors in eV/atom (energy, virial), eV/Å and eV/μ_B, None without
    labels. Raises InputError, before it writes anything, if the checkpoint or the frames cannot be used, or
    if the output folder already holds one of the files.
    """
    folder = Path(output).expanduser()
    refuse_existing(folder, [EVALUATION, PARITY, REPORT])
    potential, contents = read_contents(Path(checkpoint).expanduser())
    predictor = Predictor(potential)
    found = read_systems([systems] if isinstance(systems, str) else systems, predictor.spec.type_map)
    refuse_existing(folder, [f"{system.name}.npz" for system in found])
    look_at(found, predictor.watch).print()

    scale = label_scale_of(contents)
    baseline = stored_for(contents[ENTRY].get(HEISENBERG), found, predictor.spec)
    scores = Scores(predictor, found, baseline, scale)
    with all_or_nothing(folder, last=EVALUATION) as place:
        result = _evaluated(scores, contents, str(checkpoint), place, batch_size)
    console.print(f"Written to {folder}: errors, predictions and report.html.", markup=False)
    return result


def _evaluated(
    scores: Scores, contents: dict[str, Any], checkpoint: str, place: Path, batch_size: int
) -> dict[str, Any]:
    """Predict, print the errors, and write all files to `place`. Returns the contents of evaluation.json."""
    predictor, found, scale = scores.predictor, scores.systems, scores.scale
    predictions = scores.predict(batch_size, place)
    config = contents[ENTRY]["config"]
    scores.print(Path(checkpoint).name, trained_terms(config))
    known = scores.knows_errors
    multiples = None if scale is None else scale.tolist()
    expected = expected_errors(found, predictions, predictor.spec.use_spin, multiples) if known else {}
    if uncertainty := {name: own.result() for name, own in expected.items()}:
        print_expected(uncertainty)
    residuals = symmetry_residuals(predictor.potential, predictor.geometry, found)
    symmetry = {name: null_for_nan(changes) for name, changes in residuals.items()}
    print_symmetry(symmetry, predictor.spec)
    result = {
        "checkpoint": checkpoint,
        "checkpoint_step": contents["global_step"],
        **scores.result(),
        **({"uncertainty": uncertainty} if uncertainty else {}),
        "symmetry": symmetry,
        "model": predictor.potential.describe(),
        "data": describe(found),
        "git_commit": git_commit(),
        "versions": versions(),
    }
    for system, arrays in zip(found, predictions, strict=True):
        np.savez(place / f"{system.name}.npz", **arrays)  # type: ignore[arg-type]
    panels = []
    if any(system.labels for system in found):
        spec = predictor.spec
        points = parity_points(*_shown(found, predictions), spec.use_spin)
        with themed(LIGHT):
            save_figure(parity_figure(points, spec.type_map), place / PARITY)
        panels = parity_panels(points, spec.type_map, trained_terms(config))
    uncertain = expected_panels({name: (own.within, own.sigma, own.error) for name, own in expected.items()})
    page = evaluation_page(result, scores.errors(), config, panels, uncertain)
    (place / REPORT).write_text(page, encoding="utf-8")
    (place / EVALUATION).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


def _shown(
    systems: Sequence[System], predictions: Sequence[Arrays]
) -> tuple[Sequence[System], Sequence[Arrays]]:
    """The frames and predictions shown in the pictures: all, or a sample of many."""
    if (some := drawn(systems, SAMPLE, 0)) is systems:
        return systems, predictions
    known = dict(zip((system.name for system in systems), predictions, strict=True))
    return [in_memory(system) for system in some], [
        {name: values[system.numbers] for name, values in known[system.name].items()} for system in some
    ]


class Scores:
    """The errors of the model over all systems and for each, of the label spread, and of a baseline."""

    def __init__(
        self,
        predictor: Predictor,
        systems: Sequence[System],
        baseline: Baseline,
        label_scale: LabelScale | None = None,
    ) -> None:
        self.predictor = predictor
        self.knows_errors = predictor.knows_errors(systems)
        self.systems = systems
        type_map, use_spin = predictor.spec.type_map, predictor.spec.use_spin
        self.label_scale = label_scale.by_element(type_map) if label_scale else None
        self.scale = label_scale().detach() if label_scale else None
        self._of_labels = torch.ones_like(self.scale) if self.scale is not None else None
        self.spread_of_labels = spread_of(systems)
        self.baseline = baseline
        self.total, self.spread, self.heisenberg, *self.own = (
            ErrorMetric(type_map, use_spin) for _ in range(len(systems) + 3)
        )

    def predict(self, batch_size: int, folder: Path) -> Sequence[Arrays]:
        """Predict each system with a progress bar, and add up the errors.

        folder: where arrays that are too large for memory are kept.
        """
        batches = sum(-(-len(system) // max(batch_size, 1)) for system in self.systems)
        stream = counted(self._scored(batch_size), "Predicting", batches)
        return assemble(self.systems, (prediction for _, prediction in stream), self.knows_errors, folder)

    def _scored(self, batch_size: int) -> Iterator[Predicted]:
        for system, own in zip(self.systems, self.own, strict=True):
            for batch, prediction in self.predictor.batches([system], batch_size, self.knows_errors):
                own.update(prediction, batch, self.scale)
                self.total.update(prediction, batch, self.scale)
                self.spread.update(self.spread_of_labels(batch), batch, self._of_labels)
                if self.baseline.fit:
                    self.heisenberg.update(self.baseline.fit(batch), batch, self._of_labels)
                yield batch, prediction

    def print(self, name: str, trained: Collection[str] | None) -> None:
        """Print the table of errors, and which labels are missing.

        trained: report missing labels only for these loss terms; None for all.
        """
        frames = sum(len(system) for system in self.systems)
        columns = {name: self.total.compute(), "labels' own spread": self.spread.compute()}
        if self.baseline.fit:
            columns[HEISENBERG_FIT] = self.heisenberg.compute()
        print_errors(f"Errors on {frames} frames", columns)
        print_line(self.baseline.words)
        print_label_scale(self.label_scale)
        for label in LABELS if trained is None else dict.fromkeys(QUANTITIES[term].label for term in trained):
            if lacking := [system.name for system in self.systems if label not in system.labels]:
                print_line(f"No {label} in {shortened(lacking)}: predicted, but not compared.")

    def errors(self) -> dict[str, float | None]:
        """The errors over all frames, including those per element."""
        return null_for_nan(self.total.compute())

    def result(self) -> dict[str, Any]:
        """The entries of evaluation.json: errors over all frames, per element, per system; label spread."""
        errors = self.errors()
        elements: dict[str, dict[str, float | None]] = {}
        for key, value in errors.items():
            name, _, element = key.partition("/")
            if element:
                elements.setdefault(element, {})[name] = value
        return {
            "frames": sum(len(system) for system in self.systems),
            **_without_elements(errors),
            "elements": elements,
            "systems": {
                system.name: {"frames": len(system), **_without_elements(null_for_nan(own.compute()))}
                for system, own in zip(self.systems, self.own, strict=True)
            },
            "labels_spread": null_for_nan(self.spread.compute()),
            **({"heisenberg": null_for_nan(self.heisenberg.compute())} if self.baseline.fit else {}),
            "heisenberg_fit": self.baseline.words,
            **({"label_scale_fm": self.label_scale} if self.label_scale else {}),
        }


def _without_elements(errors: dict[str, float | None]) -> dict[str, float | None]:
    return {key: value for key, value in errors.items() if "/" not in key}
