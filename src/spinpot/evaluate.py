"""A checkpoint against frames: errors, predictions and parity plots in a folder of their own."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from spinpot.conventions import LABELS
from spinpot.data.systems import System, read_systems
from spinpot.errors import InputError
from spinpot.loss.baselines import spread_of
from spinpot.loss.metrics import ErrorMetric
from spinpot.model.settings import ModelSpec
from spinpot.predictor import Arrays, Predicted, Predictor, assemble, counted, load
from spinpot.report.pictures import save_figure
from spinpot.report.plots import parity_figure
from spinpot.report.tables import console, print_errors
from spinpot.training.run_folder import null_for_nan

EVALUATION = "evaluation.json"
PARITY = "parity.png"


def evaluate(
    checkpoint: str | Path, systems: str | Sequence[str], output: str | Path, batch_size: int = 8
) -> dict[str, Any]:
    """Predict all frames and write evaluation.json, parity.png and one .npz per system into `output`.

    Returns what evaluation.json holds: eV/atom (energy, virial), eV/Å, eV/μ_B, and None where there are no
    labels. Raises InputError before anything is written for a checkpoint or frames that cannot be used,
    and for an output folder that holds one of the files already.
    """
    folder = Path(output).expanduser()
    _refuse_existing(folder, [EVALUATION, PARITY])
    predictor = load(Path(checkpoint).expanduser())
    found = read_systems([systems] if isinstance(systems, str) else systems, predictor.spec.type_map)
    _refuse_existing(folder, [f"{system.name}.npz" for system in found])

    scores = Scores(predictor.spec, found)
    predictions = assemble(found, (values for _, values in scores.kept(predictor, batch_size)))
    result = scores.result(str(checkpoint))
    scores.print(Path(checkpoint).name)
    with _staging(folder) as place:
        for system, arrays in zip(found, predictions, strict=True):
            np.savez(place / f"{system.name}.npz", **arrays)  # type: ignore[arg-type]
        save_figure(parity_figure(found, predictions, predictor.spec.use_spin), place / PARITY)
        (place / EVALUATION).write_text(json.dumps(result, indent=2) + "\n")
    console.print(f"Written to {folder}: {EVALUATION}, {PARITY} and the predictions, one .npz per system.")
    return result
