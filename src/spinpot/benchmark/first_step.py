"""A callback that prints a line when the first step ends."""

from typing import Any

import pytorch_lightning as pl

from spinpot.benchmark.limit import now
from spinpot.core.console import print_line

LINE = "The first step has ended."


class FirstStep(pl.Callback):
    """Prints LINE."""

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        """Print the line once, after the GPU has finished the step."""
        if trainer.global_step == 1:
            now()
            print_line(LINE)
