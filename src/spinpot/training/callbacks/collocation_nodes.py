"""Keeps the interpolated embedding as good as the evaluated one while its weights change."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import WeightAveraging

from spinpot.data.batch import collate
from spinpot.data.datamodule import SpinDataModule
from spinpot.data.dataset import FrameDataset
from spinpot.models.checkpoint import ENTRY
from spinpot.models.deepspin.collocation_check import settle_nodes
from spinpot.training.module import SpinModule


class CollocationNodes(pl.Callback):
    """Takes as many nodes for each embedding net as its interpolation needs.

    It looks at the start, when weights change fastest, after steps 1, 2, 4, 8, …, and after every
    validation; at a training frame, or a few that show all elements, the same in all processes, so that all
    have the same nodes.
    A resumed run has the nodes of an uninterrupted one: it begins with those of its checkpoint, and where a
    run is only told to stop it does not look.
    """

    def __init__(self) -> None:
        self._last = 0
        self._settled = False

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep the nodes of the checkpoint, unless its run had no use for them."""
        self._settled = checkpoint[ENTRY]["model"]["descriptor"]["radial"] != "direct"

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Before the first step."""
        self._last = trainer.global_step
        if not self._settled:
            self._check(trainer, pl_module)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any) -> None:
        """With the weights of a step that is a power of 2."""
        step = trainer.global_step
        if step > self._last and step & (step - 1) == 0:
            self._check(trainer, pl_module)
        self._last = step

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """With the weights as they are now, before they are saved."""
        if _planned(trainer):
            self._check(trainer, pl_module)

    def _check(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(module, SpinModule)
        assert isinstance(data, SpinDataModule)
        if module.potential.descriptor.radial == "direct":
            return
        module.wait_for_recorded()
        training = data.datasets["train"]
        frames = [training[index] for index in _with_all_elements(training)]
        errors = settle_nodes(module.potential, collate(frames), fewer=not _averaged(trainer))
        if not errors.within() and _of_use(trainer):
            warnings.warn(
                f"With up to {errors.most} nodes the interpolated embedding still differs from the evaluated "
                f"one by {errors.energy:.1e} eV/atom and {errors.force:.1e} eV/Å. "
                "model.descriptor.radial=direct does not interpolate.",
                stacklevel=1,
            )


def _with_all_elements(dataset: FrameDataset) -> Iterator[int]:
    """The first frames of as many systems as show every element."""
    seen: set[int] = set()
    index = 0
    for system in dataset.systems:
        if new := set(system.types.tolist()) - seen:
            seen |= new
            yield index
        index += len(system)


def _of_use(trainer: pl.Trainer) -> bool:
    """Whether the last validation's score is below 1.

    Before, or where the weights have diverged, a rough embedding is not what is wrong with the model.
    """
    return float(trainer.callback_metrics.get("val/score", math.inf)) < 1.0


def _averaged(trainer: pl.Trainer) -> bool:
    """Whether validations see an average of the weights so far: as rough as those, it needs their nodes."""
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return any(isinstance(callback, WeightAveraging) for callback in callbacks)


def _planned(trainer: pl.Trainer) -> bool:
    """Whether a validation is one of the interval's or the last, not one of a run stopped in between."""
    interval = trainer.val_check_batch
    assert interval is not None
    return trainer.global_step >= trainer.max_steps or (trainer.fit_loop.total_batch_idx + 1) % interval == 0
