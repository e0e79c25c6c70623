"""Logs gradient norms: of all parameters, and of each part of the model."""

import pytorch_lightning as pl
import torch
from torch.optim import Optimizer

from spinpot.training.metrics_csv import GRADIENT_NORM
from spinpot.training.module import SpinModule


class GradientNorms(pl.Callback):
    """Logs the Euclidean norms of the loss gradient at logged steps, before any clipping.

    Names: grad_norm/total, and grad_norm/PART for each part of the potential.
    """

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Log the norms if this step is logged."""
        assert isinstance(pl_module, SpinModule)
        if (trainer.global_step + 1) % pl_module.log_interval == 0:
            potential = pl_module.potential
            everything = list(potential.parameters())
            for name, (part, which) in {"total": (everything, ...), **potential.parts()}.items():
                gradients = [p.grad[which].double() for p in part if p.grad is not None]
                pl_module.log(f"{GRADIENT_NORM}{name}", torch.nn.utils.get_total_norm(gradients))
