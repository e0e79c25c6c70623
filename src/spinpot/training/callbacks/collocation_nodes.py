"""Keeps the interpolated embedding as good as the evaluated one while its weights change."""

from __future__ import annotations

import warnings
from typing import Any

import pytorch_lightning as pl

from spinpot.data.batch import collate
from spinpot.data.datamodule import SpinDataModule
from spinpot.model.collocation_check import MOST_NODES, add_nodes
from spinpot.training.module import SpinModule


class CollocationNodes(pl.Callback):
    """Adds nodes where the interpolation is not good enough.

    It looks at the start, when weights change fastest, after steps 1, 2, 4, 8, …, and after every
    validation; at one frame of each set, the same in all processes, so that all have the same nodes.
    """

    def __init__(self) -> None:
        self._last = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Before the first step."""
        self._check(trainer, pl_module)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any) -> None:
        """With the weights of a step that is a power of 2."""
        step = trainer.global_step
        if step > self._last and step & (step - 1) == 0:
            self._check(trainer, pl_module)
        self._last = step

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """With the weights as they are now."""
        self._check(trainer, pl_module)

    def _check(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(module, SpinModule)
        assert isinstance(data, SpinDataModule)
        if module.potential.descriptor.radial == "direct":
            return
        frames = [dataset[0] for dataset in data.datasets.values()]
        errors = add_nodes(module.potential, collate(frames))
        if not errors.small:
            warnings.warn(
                f"With {MOST_NODES} nodes the interpolated embedding still differs from the evaluated one by "
                f"{errors.energy:.1e} eV/atom and {errors.force:.1e} eV/Å. model.descriptor.radial=direct "
                "does not interpolate.",
                stacklevel=1,
            )
