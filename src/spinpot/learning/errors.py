"""Errors of a run on the fixed test set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spinpot.core.quantities import FORCE
from spinpot.evaluation.predictor import load
from spinpot.loss.metrics import ErrorMetric
from spinpot.models.checkpoint import checkpoint_file

TAIL = 95.0
"""Percentile of the frames' force errors that is reported."""


def errors_on(run: Path, systems: Sequence[str]) -> dict[str, float | None]:
    """Errors of a run in eV/atom, eV/Å and eV/μ_B; p95_fr is the 95th percentile of the force errors."""
    predictor = load(checkpoint_file(run))
    metric = ErrorMetric(predictor.spec.type_map, predictor.spec.use_spin)
    of_frames: list[float] = []
    for batch, prediction in predictor.batches(predictor.systems(systems)):
        metric.update(prediction, batch)
        square = (prediction["force"] - batch.force).square().mean(dim=-1)
        sums = square.new_zeros(batch.n_frames).index_add(0, batch.frame, square)
        of_frames += (sums / batch.n_atoms).sqrt().tolist()
    found = {name: value for name, value in metric.compute().items() if "/" not in name}
    found[f"p95_{FORCE.name}"] = float(np.percentile(of_frames, TAIL))
    return {name: value if np.isfinite(value) else None for name, value in found.items()}
