"""A validation after the last step, whatever the interval."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl


class FinalValidation(pl.Callback):
    """Makes the run end with a validation, so that best and last checkpoint always exist."""

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        """Lightning validates before it stops for should_stop, but not before it stops for max_steps."""
        if trainer.global_step >= trainer.max_steps:
            trainer.should_stop = True
