"""Logs config, data and versions, pictures, and a table of errors to wandb."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytorch_lightning as pl
import torch.distributed as dist
from torch import Tensor

from spinpot.core.conventions import PER_FRAME, SHAPES
from spinpot.core.provenance import git_commit, versions
from spinpot.data.batch import Batch
from spinpot.data.datamodule import SpinDataModule
from spinpot.data.systems import System
from spinpot.evaluation.parity import parity_points
from spinpot.evaluation.predictor import Arrays, assemble
from spinpot.report.plots import error_histogram_figure, parity_figure
from spinpot.report.style import LIGHT, themed
from spinpot.report.tables import error_rows
from spinpot.training.module import SpinModule, parts_of
from spinpot.training.wandb_run import WandbRun

PICTURES = ("pictures/parity", "pictures/error_histogram")
TABLE = "tables/errors"
TABLE_COLUMNS = ("quantity", "element", "rmse", "mae", "labels' own spread", "unit")

Prediction = dict[str, Tensor]


class ValidationPredictions:
    """Collects the predictions of each process for its share of the frames (see EveryFrameOnce)."""

    def __init__(self) -> None:
        self._frames: list[Prediction] = []

    def add(self, batch: Batch, prediction: Prediction) -> None:
        """Store the prediction of the next batch on the CPU, split into frames."""
        sizes = batch.n_atoms.tolist()
        parts = {
            name: prediction[name].detach().cpu().split(1 if name in PER_FRAME else sizes) for name in SHAPES
        }
        # Clone, because pickling a view sends the whole tensor.
        self._frames += [{name: parts[name][frame].clone() for name in SHAPES} for frame in range(len(sizes))]

    def of_all_processes(self, systems: Sequence[System]) -> Sequence[Arrays] | None:
        """The predictions for all frames of the systems; all processes must call this together.

        Returns None on all processes but the first, and if the validation left out frames.
        """
        shares = _gather(self._frames)
        if shares is None or sum(map(len, shares)) != sum(map(len, systems)):
            return None
        return assemble(systems, _interleaved(shares))


class WandbReport(pl.Callback):
    """Starts a wandb run; after each validation logs pictures and a table of errors.

    The predictions come from the validation itself, gathered from all processes.
    """

    def __init__(self, run: WandbRun) -> None:
        self.run = run
        self._active = False
        self._predictions = ValidationPredictions()

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the wandb run in the first process."""
        module, data = parts_of(trainer, pl_module)
        if trainer.is_global_zero:
            about = {"data_sets": data.described, "git_commit": git_commit(), "versions": versions()}
            self.run.start({**module.config, **about})
        # All processes must agree on whether predictions are gathered.
        self._active = trainer.strategy.broadcast(self.run.active)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Discard the predictions of an interrupted validation."""
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
        module, data = parts_of(trainer, pl_module)
        predictions = self._predictions.of_all_processes(data.validated.systems)
        self._predictions = ValidationPredictions()
        if trainer.is_global_zero:
            self.run.log_made(lambda: _report(module, data, predictions), trainer.global_step)


def _report(module: SpinModule, data: SpinDataModule, predictions: Sequence[Arrays] | None) -> dict[str, Any]:
    rows = [
        [row.quantity.words, row.element or "all", row.values[0], row.mae, row.values[1], row.quantity.meV]
        for row in error_rows({"rmse": module.errors, "spread": module.score.spread})
    ]
    made: dict[str, Any] = {TABLE: (TABLE_COLUMNS, rows)}
    if predictions is not None:
        spec = module.potential.spec
        points = parity_points(data.validated.systems, predictions, spec.use_spin)
        what = (points, spec.type_map, module.loss.active)
        with themed(LIGHT):
            made |= zip(PICTURES, (parity_figure(*what), error_histogram_figure(*what)), strict=True)
    return made


def _gather(share: list[Prediction]) -> list[list[Prediction]] | None:
    """The shares of all processes on the first process; None on the others."""
    if not dist.is_initialized():
        return [share]
    shares: list[list[Prediction]] | None = [share] * dist.get_world_size() if dist.get_rank() == 0 else None
    dist.gather_object(share, shares)
    return shares


def _interleaved(shares: list[list[Prediction]]) -> Iterator[Prediction]:
    """Predictions in frame order; process r of W has the frames r, r + W, …"""
    for frame in range(sum(map(len, shares))):
        yield shares[frame % len(shares)][frame // len(shares)]
