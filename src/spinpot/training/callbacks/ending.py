"""Lets the potential fit again what is not trained, with the weights that the run ends with."""

from __future__ import annotations

import pytorch_lightning as pl

from spinpot.models.start import TrainingLabels
from spinpot.training.module import SpinModule


class Ending(pl.Callback):
    """Calls `Potential.end` before the last validation, so that what is validated is what is saved.

    It stands behind callbacks that put averaged weights in the place of the last ones.
    """

    def __init__(self, labels: TrainingLabels) -> None:
        self._labels = labels

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """If it is the last one, of all steps."""
        assert isinstance(pl_module, SpinModule)
        if 0 < trainer.max_steps <= trainer.global_step:
            pl_module.stop_if_diverged(wait=True)
            pl_module.potential.end(self._labels)
