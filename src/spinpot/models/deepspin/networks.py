"""Residual multilayer perceptrons, used as embedding nets and fitting nets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from spinpot.models.deepspin.activations import activation
from spinpot.models.deepspin.settings import DescriptorSettings, FittingSettings


class ResidualLayer(nn.Module):
    """y = idt ⊙ act(xW + b) + skip, (…, n_in) → (…, n_out).

    The skip is x where the widths are equal, [x, x] where the width doubles, and absent otherwise.

    weight: (n_in, n_out); bias: (n_out,); idt: (n_out,) or None. Or K layers stacked, with weight
    (K, n_in, n_out), and bias and idt (K, 1, n_out).
    """

    def __init__(self, weight: Tensor, bias: Tensor, idt: Tensor | None, activation_function: str) -> None:
        super().__init__()
        self.activation_function = activation_function
        self.activation = activation(activation_function)
        self.repeats = _repeats(*weight.shape[-2:])
        self.weight, self.bias, self.idt = weight, bias, idt

    @classmethod
    def random(
        cls, n_in: int, n_out: int, activation_function: str, resnet_dt: bool, generator: torch.Generator
    ) -> ResidualLayer:
        """A layer with random initial weights; idt exists only with `resnet_dt` and a skip."""
        weight = normal_parameter((n_in, n_out), 0.0, 1.0 / math.sqrt(n_in + n_out), generator)
        bias = normal_parameter((n_out,), 0.0, 1.0, generator)
        has_idt = resnet_dt and _repeats(n_in, n_out)
        idt = normal_parameter((n_out,), 0.1, 0.001, generator) if has_idt else None
        return cls(weight, bias, idt, activation_function)

    def forward(self, x: Tensor) -> Tensor:
        """(n, n_in) → (n, n_out), or (K, n, n_in) → (K, n, n_out)."""
        return self.with_skip(self.scaled(self.activation.value(self.linear(x))), x)

    def linear(self, x: Tensor) -> Tensor:
        """The linear part xW + b; shapes as in forward."""
        product = torch.addmm if self.weight.ndim == 2 else torch.baddbmm
        return product(self.bias, x, self.weight)

    def one_of(self, k: int) -> ResidualLayer:
        """Layer k of stacked layers; it shares their memory."""
        idt = None if self.idt is None else self.idt[k, 0]
        return ResidualLayer(self.weight[k], self.bias[k, 0], idt, self.activation_function)

    def some(self, numbers: Tensor) -> ResidualLayer:
        """Some of the stacked layers, by their numbers (K,), stacked."""
        idt = None if self.idt is None else self.idt.index_select(0, numbers)
        weight, bias = (values.index_select(0, numbers) for values in (self.weight, self.bias))
        return ResidualLayer(weight, bias, idt, self.activation_function)

    def scaled(self, y: Tensor) -> Tensor:
        """The layer's idt ⊙ y; y if there is no idt."""
        return y if self.idt is None else y * self.idt

    def with_skip(self, y: Tensor, x: Tensor) -> Tensor:
        """The layer's output y plus its skip, if the widths allow one. x: the input."""
        if self.repeats == 1:
            return y + x
        if self.repeats == 2:
            return y + torch.cat((x, x), dim=-1)
        return y

    def skip_back(self, by_output: Tensor, by_input: Tensor) -> Tensor:
        """Add the skip's part of ∂E/∂y, (n, n_out), to ∂E/∂x, (n, n_in), in place."""
        for part in by_output.chunk(self.repeats, dim=-1) if self.repeats else ():
            by_input += part
        return by_input


class ResidualNet(nn.Sequential):
    """A sequence of layers of the given widths, (n, n_in) → (n, neuron[-1])."""

    @classmethod
    def random(
        cls, n_in: int, settings: DescriptorSettings | FittingSettings, generator: torch.Generator
    ) -> ResidualNet:
        """A net with random initial weights."""
        name, resnet_dt = settings.activation_function, settings.resnet_dt
        widths = pairwise((n_in, *settings.neuron))
        return cls(*(ResidualLayer.random(*width, name, resnet_dt, generator) for width in widths))

    @classmethod
    def side_by_side(cls, nets: Sequence[ResidualNet]) -> ResidualNet:
        """Stack K nets of one shape: one product per layer, (K, n, n_in) → (K, n, neuron[-1])."""
        return cls(*(_stack(cast(Sequence[ResidualLayer], layers)) for layers in zip(*nets, strict=True)))

    @property
    def layers(self) -> list[ResidualLayer]:
        """The layers, beginning at the input."""
        return cast(list[ResidualLayer], list(self))

    def in_threes(self) -> list[Tensor]:
        """W, b and idt of each layer; an empty tensor for a missing idt."""
        none = self.layers[0].weight.new_empty(0)
        return [
            tensor
            for layer in self.layers
            for tensor in (layer.weight, layer.bias, none if layer.idt is None else layer.idt)
        ]

    def by_place(self, name: str) -> dict[str, Tensor]:
        """W, b and idt of each layer, by NAME and the layer's number; a missing idt is left out."""
        return {f"{name}.{place}": own for place, own in enumerate(self.in_threes()) if own.numel()}

    def one_of(self, k: int) -> ResidualNet:
        """Net k of stacked nets; it shares their memory."""
        return ResidualNet(*(layer.one_of(k) for layer in self.layers))

    def some(self, numbers: Tensor) -> ResidualNet:
        """Some of the stacked nets, by their numbers (K,), stacked."""
        return ResidualNet(*(layer.some(numbers) for layer in self.layers))


def _stack(layers: Sequence[ResidualLayer]) -> ResidualLayer:
    weight = stacked([layer.weight for layer in layers])
    bias = stacked([layer.bias.unsqueeze(0) for layer in layers])
    idts = [layer.idt.unsqueeze(0) for layer in layers if layer.idt is not None]
    idt = stacked(idts) if idts else None
    return ResidualLayer(weight, bias, idt, layers[0].activation_function)


def stacked(parameters: Sequence[Tensor]) -> nn.Parameter:
    """Stack K parameters of one shape, (K, …)."""
    return nn.Parameter(torch.stack([parameter.detach() for parameter in parameters]))


def _repeats(n_in: int, n_out: int) -> int:
    """How many copies of the input the skip adds to the output: 0, 1 or 2."""
    return n_out // n_in if n_out in (n_in, 2 * n_in) else 0


def normal_parameter(
    shape: tuple[int, ...], mean: float, std: float, generator: torch.Generator
) -> nn.Parameter:
    """A random parameter, always drawn in float64, so that a seed gives the same start in any precision."""
    values = torch.empty(shape, dtype=torch.float64).normal_(mean, std, generator=generator)
    return nn.Parameter(values)
