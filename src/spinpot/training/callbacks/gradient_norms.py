"""How large the gradients are: of everything, and of each part of the model."""

from __future__ import annotations

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from spinpot.models.deepspin.potential import SpinPotential
from spinpot.training.metrics_csv import GRADIENT_NORM
from spinpot.training.module import SpinModule


class GradientNorms(pl.Callback):
    """Logs the Euclidean norms of the loss's gradient at logged steps, before any clipping.

    Names: grad_norm/total, grad_norm/descriptor, and grad_norm/fitting_net_Ni and so on; grad_norm/exchange
    where the model has that term.
    """

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Log the norms if this step is logged."""
        assert isinstance(pl_module, SpinModule)
        if (trainer.global_step + 1) % pl_module.log_interval == 0:
            for name, gradients in gradients_by_part(pl_module.potential).items():
                pl_module.log(f"{GRADIENT_NORM}{name}", torch.nn.utils.get_total_norm(gradients))


def gradients_by_part(potential: SpinPotential) -> dict[str, list[Tensor]]:
    """Gradients, in float64, of what has a norm of its own, by name."""
    fitting = gradients_of(potential.fitting_nets)
    exchange = {} if potential.exchange is None else {"exchange": gradients_of(potential.exchange)}
    return {
        "total": gradients_of(potential),
        "descriptor": gradients_of(potential.descriptor),
        **exchange,
        **{
            f"fitting_net_{element}": [gradient[t] for gradient in fitting]
            for t, element in enumerate(potential.spec.type_map)
        },
    }


def gradients_of(part: nn.Module) -> list[Tensor]:
    """Those that there are, in float64."""
    return [p.grad.double() for p in part.parameters() if p.grad is not None]
