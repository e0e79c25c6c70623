"""Calls `Potential.end` with the final weights, which refits the coefficients that are not trained."""

from dataclasses import replace
from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from spinpot.models.start import TrainingLabels
from spinpot.training.module import parts_of


class Ending(pl.Callback):
    """Calls `Potential.end` before the last validation, so that the validated potential is the saved one.

    A run that is resumed with more steps restores the buffers from before. This callback must come after
    those that replace the last weights by averaged ones.
    """

    def __init__(self, labels: TrainingLabels) -> None:
        self._labels = labels
        self._before: dict[str, Tensor] = {}

    def state_dict(self) -> dict[str, Any]:
        """The buffers that `Potential.end` has changed, with their earlier values."""
        return self._before

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self._before = state_dict

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restore the buffers from before `Potential.end`."""
        module, _ = parts_of(trainer, pl_module)
        for name, buffer in module.potential.named_buffers():
            if name in self._before:
                buffer.copy_(self._before[name])
        self._before = {}

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Call `Potential.end` if all steps are done."""
        module, _ = parts_of(trainer, pl_module)
        if 0 < trainer.max_steps <= trainer.global_step:
            module.stop_if_diverged(wait=True)
            before = {name: buffer.clone() for name, buffer in module.potential.named_buffers()}
            scale = module.label_scale
            labels = self._labels if scale is None else replace(self._labels, scale=scale().detach())
            module.potential.end(labels)
            changed = dict(module.potential.named_buffers())
            self._before = {name: value for name, value in before.items() if not value.equal(changed[name])}
