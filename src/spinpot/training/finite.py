"""Whether a step's gradients are numbers."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from spinpot import native


def gradients_finite(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Whether all gradients that there are hold finite numbers only: one bool, on their device."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    compiled = native.all_finite(gradients[0])
    if compiled is not None:
        return compiled(gradients)
    return torch.cat([gradient.flatten() for gradient in gradients]).isfinite().all()
