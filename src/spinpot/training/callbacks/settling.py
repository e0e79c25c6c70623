"""Calls `Potential.settle`, which adapts untrained parts (e.g. interpolation nodes) to the weights."""

import math
import warnings
from collections.abc import Iterator
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import WeightAveraging

from spinpot.data.dataset import FrameDataset
from spinpot.models.checkpoint import ENTRY
from spinpot.training.module import SpinModule, parts_of


class Settling(pl.Callback):
    """Calls `Potential.settle` with a few training frames that contain all elements.

    It does so before the first step, after steps 1, 2, 4, 8, … (early weights change fastest), and after
    every planned validation. All processes use the same frames, so they all settle alike. A resumed run
    settles like
    an uninterrupted one: it keeps the state of its checkpoint, and the validation of a run stopped by a
    signal changes nothing.
    """

    def __init__(self) -> None:
        self._last = 0
        self._settled = False

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Note whether the potential in the checkpoint is settled already."""
        assert isinstance(pl_module, SpinModule)
        self._settled = pl_module.potential.settled_in(checkpoint[ENTRY]["model"])

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Settle before the first step."""
        self._last = trainer.global_step
        if not self._settled:
            self._settle(trainer, pl_module)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any) -> None:
        """Settle after steps that are powers of 2."""
        step = trainer.global_step
        if step > self._last and step & (step - 1) == 0:
            self._settle(trainer, pl_module)
        self._last = step

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Settle with the current weights, before they are saved."""
        if _planned(trainer):
            self._settle(trainer, pl_module)

    def _settle(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        module, data = parts_of(trainer, pl_module)
        module.stop_if_diverged(wait=True)
        training = data.samples["train"]
        batch = training.batch(_with_all_elements(training))
        # Validations may use averaged weights, which may vary as sharply as the last ones.
        callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
        averaged = any(isinstance(callback, WeightAveraging) for callback in callbacks)
        wrong = module.potential.settle(batch, averaged=averaged)
        if wrong and _of_use(trainer):
            warnings.warn(wrong, stacklevel=1)


def _with_all_elements(dataset: FrameDataset) -> Iterator[int]:
    """The first frame of each system that adds an element not yet seen."""
    seen: set[int] = set()
    index = 0
    for system in dataset.systems:
        if new := set(system.types.tolist()) - seen:
            seen |= new
            yield index
        index += len(system)


def _of_use(trainer: pl.Trainer) -> bool:
    """Whether the last score is below 1. An untrained or diverged model needs no warning."""
    return float(trainer.callback_metrics.get("val/score", math.inf)) < 1.0


def _planned(trainer: pl.Trainer) -> bool:
    """Whether a validation is due by the interval or is the last; false if a signal caused it."""
    if trainer.global_step >= trainer.max_steps:
        return True
    interval = trainer.val_check_batch
    assert interval is not None
    return (trainer.fit_loop.total_batch_idx + 1) % interval == 0
