"""Saves the potential that was fitted by least squares, since training can make it worse."""

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint

from spinpot.training.module import parts_of


class SavedStart(pl.Callback):
    """Before the first step, saves the potential as the best checkpoint so far.

    errors: of this potential on the validation frames (see ErrorMetric).
    """

    def __init__(self, errors: dict[str, float]) -> None:
        self._errors = errors

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Call the checkpoint callbacks as after a validation, if the errors tell what they monitor."""
        module, _ = parts_of(trainer, pl_module)
        measured = module.validated(self._errors)
        trainer.callback_metrics.update(measured)
        for saver in trainer.checkpoint_callbacks:
            if isinstance(saver, ModelCheckpoint) and saver.monitor in measured:
                saver._last_global_step_saved = -1
                saver.on_validation_end(trainer, pl_module)
