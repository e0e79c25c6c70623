"""One line per validation: the learning curve in the terminal and in log files."""

import pytorch_lightning as pl

from spinpot.core.console import console
from spinpot.core.quantities import WHOLE


class ValidationLines(pl.Callback):
    """Prints the errors after each validation."""

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print step and errors."""
        metrics = trainer.callback_metrics
        errors = {quantity: metrics.get(f"val/{quantity.rmse}") for quantity in WHOLE}
        parts = [quantity.shown(float(error)) for quantity, error in errors.items() if error is not None]
        line = f"step {trainer.global_step:6d}: validation rmse {', '.join(parts)}"
        # With a progress bar, print through its console, so that the line appears above the bar.
        progress = getattr(trainer.progress_bar_callback, "progress", None)
        (progress.console if progress else console).print(line, soft_wrap=True, highlight=False)
