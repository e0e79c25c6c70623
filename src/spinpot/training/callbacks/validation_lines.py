"""One line per validation: the learning curve in the terminal and in log files."""

from __future__ import annotations

import pytorch_lightning as pl

from spinpot.core.console import console

COLUMNS = {
    "val/rmse_e": ("E", "meV/atom"),
    "val/rmse_fr": ("F", "meV/Å"),
    "val/rmse_fm": ("Fm", "meV/μ_B"),
    "val/rmse_v": ("V", "meV/atom"),
}


class ValidationLines(pl.Callback):
    """Prints the validation errors each time there are new ones."""

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print step and errors."""
        metrics = trainer.callback_metrics
        parts = [
            f"{name} {1000 * float(metrics[key]):.3f} {unit}"
            for key, (name, unit) in COLUMNS.items()
            if key in metrics
        ]
        line = f"step {trainer.global_step:6d}: validation rmse {', '.join(parts)}"
        # Through the progress bar's console where there is one, so that the line comes above the bar.
        progress = getattr(trainer.progress_bar_callback, "progress", None)
        (progress.console if progress else console).print(line, soft_wrap=True, highlight=False)
