"""How large the gradients are: of everything, and of each part of the model."""

from __future__ import annotations

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim import Optimizer

from spinpot.models.potential import Part, Potential
from spinpot.training.metrics_csv import GRADIENT_NORM
from spinpot.training.module import SpinModule


class GradientNorms(pl.Callback):
    """Logs the Euclidean norms of the loss's gradient at logged steps, before any clipping.

    Names: grad_norm/total, and grad_norm/PART for each of the potential's parts.
    """

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Log the norms if this step is logged."""
        assert isinstance(pl_module, SpinModule)
        if (trainer.global_step + 1) % pl_module.log_interval == 0:
            for name, gradients in gradients_by_part(pl_module.potential).items():
                pl_module.log(f"{GRADIENT_NORM}{name}", torch.nn.utils.get_total_norm(gradients))


def gradients_by_part(potential: Potential) -> dict[str, list[Tensor]]:
    """Gradients, in float64, of what has a norm of its own, by name."""
    parts = {"total": (potential, ...), **potential.parts()}
    return {name: gradients_of(part) for name, part in parts.items()}


def gradients_of(part: Part) -> list[Tensor]:
    """Those that there are, in float64."""
    module, which = part
    return [p.grad[which].double() for p in module.parameters() if p.grad is not None]
