"""Residual multilayer perceptrons: the embedding nets and the fitting nets."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "gelu": lambda x: F.gelu(x, approximate="tanh"),
    "relu": F.relu,
    "relu6": F.relu6,
    "silu": F.silu,
    "softplus": F.softplus,
    "sigmoid": torch.sigmoid,
    "linear": lambda x: x,
}
SILUT = "silut"
"""`silut` or `silut:THRESHOLD`: silu below the threshold, 3 if none is given, a tanh above it."""
NOT_SMOOTH = ("relu", "relu6", SILUT)


def activation(name: str) -> Callable[[Tensor], Tensor]:
    """The function of a name. Raises KeyError for an unknown one."""
    kind, _, threshold = name.partition(":")
    if kind == SILUT:
        try:
            return partial(silut, threshold=float(threshold or 3.0))
        except ValueError:
            raise KeyError(name) from None
    return ACTIVATIONS[name]


def silut(x: Tensor, threshold: float) -> Tensor:
    """silu(x) below the threshold t; silu(t) + tanh(silu'(t) (x − t)) from there on. As in deepmd-kit."""
    sigmoid = 1.0 / (1.0 + math.exp(-threshold))
    slope = sigmoid + threshold * sigmoid * (1.0 - sigmoid)
    return torch.where(
        x >= threshold, torch.tanh(slope * (x - threshold)) + threshold * sigmoid, x * torch.sigmoid(x)
    )


class ResidualLayer(nn.Module):
    """y = idt ⊙ act(xW + b) + skip, (…, n_in) → (…, n_out).

    The skip is x where the widths are equal, [x, x] where the width doubles, and absent otherwise; idt, one
    number per output, exists only with `resnet_dt` and a skip.
    """

    def __init__(
        self, n_in: int, n_out: int, activation_function: str, resnet_dt: bool, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.activation = activation(activation_function)
        self.repeats = n_out // n_in if n_out in (n_in, 2 * n_in) else 0
        self.weight = _normal((n_in, n_out), 0.0, 1.0 / math.sqrt(n_in + n_out), generator)
        self.bias = _normal((n_out,), 0.0, 1.0, generator)
        self.idt = _normal((n_out,), 0.1, 0.001, generator) if resnet_dt and self.repeats else None

    def forward(self, x: Tensor) -> Tensor:
        """(n, n_in) → (n, n_out)."""
        y = self.activation(torch.addmm(self.bias, x, self.weight))
        if self.idt is not None:
            y = y * self.idt
        return self.with_skip(y, x)

    def with_skip(self, y: Tensor, x: Tensor) -> Tensor:
        """The layer's output y with its input x added where the widths allow it."""
        if self.repeats == 1:
            return y + x
        if self.repeats == 2:
            return y + torch.cat((x, x), dim=-1)
        return y


class ResidualNet(nn.Sequential):
    """Layers of the given widths on top of each other, (n, n_in) → (n, neuron[-1])."""

    def __init__(
        self,
        n_in: int,
        neuron: Sequence[int],
        activation_function: str,
        resnet_dt: bool,
        generator: torch.Generator,
    ) -> None:
        widths = (n_in, *neuron)
        super().__init__(
            *(
                ResidualLayer(before, after, activation_function, resnet_dt, generator)
                for before, after in pairwise(widths)
            )
        )


def evaluate_together(nets: Sequence[ResidualNet], x: Tensor) -> Tensor:
    """Nets of one shape, each at its own points, in one product per layer: (K, n, n_in) → (K, n, n_out)."""
    for layers in zip(*nets, strict=True):
        one = layers[0]
        weight = torch.stack([layer.weight for layer in layers])
        bias = torch.stack([layer.bias for layer in layers]).unsqueeze(1)
        y = one.activation(torch.baddbmm(bias, x, weight))
        if one.idt is not None:
            y = y * torch.stack([layer.idt for layer in layers]).unsqueeze(1)
        x = one.with_skip(y, x)
    return x


class FittingNet(nn.Module):
    """The energy of atoms of one element from their descriptors, (n, n_in) → (n,), eV."""

    def __init__(
        self,
        n_in: int,
        neuron: Sequence[int],
        activation_function: str,
        resnet_dt: bool,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.hidden = ResidualNet(n_in, neuron, activation_function, resnet_dt, generator)
        self.weight = _normal((neuron[-1], 1), 0.0, 1.0 / math.sqrt(neuron[-1] + 1), generator)
        self.bias = _normal((1,), 0.0, 1.0, generator)

    def forward(self, descriptor: Tensor) -> Tensor:
        """(n, n_in) → (n,), eV."""
        return torch.addmm(self.bias, self.hidden(descriptor), self.weight).squeeze(-1)


def _normal(shape: tuple[int, ...], mean: float, std: float, generator: torch.Generator) -> nn.Parameter:
    """Drawn in float64 whatever the training's precision, so that a seed means the same start in both."""
    values = torch.empty(shape, dtype=torch.float64).normal_(mean, std, generator=generator)
    return nn.Parameter(values)
