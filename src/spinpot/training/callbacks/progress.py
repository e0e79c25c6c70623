"""The progress bar, which also shows the errors."""

import math

import pytorch_lightning as pl
from pytorch_lightning.callbacks import RichProgressBar

from spinpot.core.quantities import MAIN

SHOWN = {quantity.rmse: quantity.symbol for quantity in MAIN}


class ProgressBar(RichProgressBar):
    """Lightning's rich progress bar with the rmse of the last validation, or before it, of the last batch."""

    def get_metrics(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """The errors in meV (per atom, Å or μ_B), to three digits."""
        metrics = super().get_metrics(trainer, pl_module)
        part = "val" if any(f"val/{name}" in metrics for name in SHOWN) else "train"
        return {
            short: f"{1000 * float(metrics[f'{part}/{name}']):.3g}"  # type: ignore[arg-type]
            for name, short in SHOWN.items()
            if not math.isnan(metrics.get(f"{part}/{name}", math.nan))  # type: ignore[arg-type]
        }

    def _get_train_description(self, current_epoch: int) -> str:
        # A run is one long epoch, so "Epoch 0/-2" would mean nothing.
        return "rmse in meV"
