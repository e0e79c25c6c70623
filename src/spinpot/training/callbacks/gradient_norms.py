"""How large the gradients are: of everything, and of each part of the model."""

from __future__ import annotations

import pytorch_lightning as pl
import torch
from torch import nn
from torch.optim import Optimizer

from spinpot.model.potential import SpinPotential
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
            for name, part in parts(pl_module.potential).items():
                gradients = [p.grad.double() for p in part.parameters() if p.grad is not None]
                pl_module.log(f"{GRADIENT_NORM}{name}", torch.nn.utils.get_total_norm(gradients))


def parts(potential: SpinPotential) -> dict[str, nn.Module]:
    """What has a norm of its own, by name."""
    nets = zip(potential.spec.type_map, potential.fitting_nets, strict=True)
    exchange = {} if potential.exchange is None else {"exchange": potential.exchange}
    return {
        "total": potential,
        "descriptor": potential.descriptor,
        **exchange,
        **{f"fitting_net_{element}": net for element, net in nets},
    }
