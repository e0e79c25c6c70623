"""What a wandb run shows beside the curves: config, data and program, pictures and a table of errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl

from spinpot.core.provenance import git_commit, versions
from spinpot.core.quantities import ERRORS
from spinpot.data.batch import Batch
from spinpot.data.datamodule import SpinDataModule
from spinpot.evaluation.predictor import Arrays
from spinpot.report.plots import error_histogram_figure, parity_figure
from spinpot.report.style import LIGHT, themed
from spinpot.training.module import SpinModule
from spinpot.training.validation_predictions import ValidationPredictions
from spinpot.training.wandb_run import WandbRun

PICTURES = ("pictures/parity", "pictures/error_histogram")
TABLE = "tables/errors"
TABLE_COLUMNS = ("quantity", "element", "rmse", "mae", "labels' own spread", "unit")


class WandbReport(pl.Callback):
    """Starts a wandb run, and logs pictures and a table of errors whenever the validation set was gone over.

    The predictions are those of the validation itself, gathered from all processes.
    """

    def __init__(self, run: WandbRun) -> None:
        self.run = run
        self._active = False
        self._predictions = ValidationPredictions()

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the run, in the first process."""
        module, data = _parts(trainer, pl_module)
        if trainer.is_global_zero:
            about = {"data_sets": data.describe(), "git_commit": git_commit(), "versions": versions()}
            self.run.start({**module.config, **about})
        # All processes must agree on whether predictions are gathered.
        self._active = trainer.strategy.broadcast(self.run.active)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget the predictions of a validation that was broken off."""
        self._predictions = ValidationPredictions()

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the predictions of a batch."""
        if self._active:
            self._predictions.add(batch, outputs)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log pictures and table."""
        if not self._active:
            return
        module, data = _parts(trainer, pl_module)
        predictions = self._predictions.of_all_processes(data.systems["validation"])
        self._predictions = ValidationPredictions()
        if trainer.is_global_zero:
            self.run.log_made(lambda: _report(module, data, predictions), trainer.global_step)


def error_rows(errors: Mapping[str, float], spread: Mapping[str, float]) -> list[list[Any]]:
    """A row of TABLE_COLUMNS for each quantity that has labels, and for each of its elements; in meV.

    errors, spread: as ErrorMetric gives them.
    """
    rows: list[list[Any]] = []
    for quantity in ERRORS.values():
        head = quantity.rmse
        if math.isnan(errors.get(head, math.nan)):
            continue
        for name in (head, *(name for name in errors if name.startswith(f"{head}/"))):
            numbers = (errors[name], errors[name.replace("rmse", "mae", 1)], spread.get(name, math.nan))
            element = name.partition("/")[2] or "all"
            rows.append([quantity.words, element, *(1000 * number for number in numbers), quantity.meV])
    return rows


def _report(module: SpinModule, data: SpinDataModule, predictions: list[Arrays] | None) -> dict[str, Any]:
    made: dict[str, Any] = {TABLE: (TABLE_COLUMNS, error_rows(module.errors, module.score.spread))}
    if predictions is not None:
        what = (data.systems["validation"], predictions, module.potential.spec.use_spin, module.loss.active)
        with themed(LIGHT):
            made |= zip(PICTURES, (parity_figure(*what), error_histogram_figure(*what)), strict=True)
    return made


def _parts(trainer: pl.Trainer, module: pl.LightningModule) -> tuple[SpinModule, SpinDataModule]:
    data = trainer.datamodule  # type: ignore[attr-defined]
    assert isinstance(module, SpinModule)
    assert isinstance(data, SpinDataModule)
    return module, data
