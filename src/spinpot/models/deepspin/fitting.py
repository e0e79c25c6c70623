"""The fitting nets: energies of atoms and their gradients with respect to the descriptor.

Both are computed together, with a backward pass written out by hand. Training on forces then needs no
second-order automatic differentiation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, cast

import torch
from torch import Tensor, nn

from spinpot.core.differentiable_once import differentiable_once
from spinpot.models.deepspin.networks import ResidualLayer, ResidualNet, normal_parameter, stacked
from spinpot.models.deepspin.settings import FittingSettings


class FittingNet(nn.Module):
    """The energy of atoms of one element from their descriptors, (n, n_in) → (n,), eV.

    weight: (n_out, 1) and bias: (1,) of the last layer. Or K nets stacked, with (K, n_out, 1) and (K, 1, 1).
    In stacked tensors, each thread of the optimizer updates some of the nets. If the kernels distribute the
    elements over threads, these are the nets whose gradients the thread has computed.
    """

    def __init__(self, hidden: ResidualNet, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.hidden = hidden
        self.weight, self.bias = weight, bias

    @classmethod
    def random(cls, n_in: int, settings: FittingSettings, generator: torch.Generator) -> FittingNet:
        """A net with random initial weights."""
        hidden, width = ResidualNet.random(n_in, settings, generator), settings.neuron[-1]
        weight = normal_parameter((width, 1), 0.0, 1.0 / math.sqrt(width + 1), generator)
        return cls(hidden, weight, normal_parameter((1,), 0.0, 1.0, generator))

    @classmethod
    def side_by_side(cls, nets: Sequence[FittingNet]) -> FittingNet:
        """Stack K nets of one shape."""
        hidden = ResidualNet.side_by_side([net.hidden for net in nets])
        weight, bias = [net.weight for net in nets], [net.bias.unsqueeze(0) for net in nets]
        return cls(hidden, stacked(weight), stacked(bias))

    def one_of(self, k: int) -> FittingNet:
        """Net k of stacked nets; it shares their memory."""
        return FittingNet(self.hidden.one_of(k), self.weight[k], self.bias[k, 0])

    def forward(self, descriptor: Tensor) -> Tensor:
        """(n, n_in) → (n,), eV, for a single net."""
        return torch.addmm(self.bias, self.hidden(descriptor), self.weight).squeeze(-1)

    def weights(self) -> list[Tensor]:
        """All parameters, in the order of the gradients below."""
        of_layers = (own for layer in self.layers for own in (layer.weight, layer.bias, layer.idt))
        return [self.weight, self.bias, *(weight for weight in of_layers if weight is not None)]

    def in_threes(self) -> list[Tensor]:
        """The last layer's parameters, then three per hidden layer, as ResidualNet.in_threes."""
        return [self.weight, self.bias, *self.hidden.in_threes()]

    @property
    def layers(self) -> list[ResidualLayer]:
        """The hidden layers, beginning at the descriptor."""
        return self.hidden.layers


def energy_and_gradient(nets: FittingNet, descriptor: Tensor, sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Energies (A,), eV, and ∂E/∂D (A, n_in) of atoms sorted by element, `sizes` of each.

    nets: stacked. Differentiable once, with respect to the descriptor and the weights.
    """
    result = _EnergyAndGradient.apply(descriptor.contiguous(), nets, list(sizes), *nets.weights())  # type: ignore[no-untyped-call]
    return cast(tuple[Tensor, Tensor], result)


class _EnergyAndGradient(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, descriptor: Tensor, nets: FittingNet, sizes: list[int], *weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        energy, gradient = descriptor.new_empty(len(descriptor)), torch.empty_like(descriptor)
        ctx.parts, ctx.shapes = _parts(nets, sizes), [weight.shape for weight in weights]
        ctx.states = [
            _evaluate(part.net, *map(part.of, (descriptor, energy, gradient))) for part in ctx.parts
        ]
        return energy, gradient

    @staticmethod
    @differentiable_once
    def backward(ctx: Any, *weights: Tensor) -> tuple[Any, ...]:
        of_energy, of_gradient = (weight.contiguous() for weight in weights)
        by_descriptor = torch.empty_like(of_gradient)
        gradients = [
            _backward(part.net, states, *map(part.of, (of_energy, of_gradient, by_descriptor)))
            for part, states in zip(ctx.parts, ctx.states, strict=True)
        ]
        if ctx.parts[0].element is None:
            return by_descriptor, None, None, *map(torch.reshape, gradients[0], ctx.shapes)
        found = [by_descriptor.new_zeros(shape) for shape in ctx.shapes]
        for part, of_part in zip(ctx.parts, gradients, strict=True):
            for whole, own in zip(found, of_part, strict=True):
                whole[part.element] = own
        return by_descriptor, None, None, *found


@dataclass(frozen=True)
class _Part:
    """Atoms that are evaluated together: those of one element, or all of them by stacked nets."""

    net: FittingNet
    element: int | None
    first: int
    shape: tuple[int, ...]

    def of(self, values: Tensor) -> Tensor:
        """The part of per-atom values (A, …): (n, …) or (K, n, …)."""
        return values.narrow(0, self.first, math.prod(self.shape)).view(*self.shape, *values.shape[1:])


def _parts(nets: FittingNet, sizes: list[int]) -> list[_Part]:
    """The parts to evaluate: one for all elements if they have equal numbers of atoms, else one for each."""
    if min(sizes) == max(sizes):
        return [_Part(nets, None, 0, (len(sizes), sizes[0]))]
    ends = accumulate(sizes)
    return [
        _Part(nets.one_of(t), t, end - size, (size,))
        for t, (size, end) in enumerate(zip(sizes, ends, strict=True))
        if size
    ]


@dataclass
class _State:
    """Intermediate values of a layer: input x, z = xW + b, f(z) and its slope, ∂E/∂y and ∂E/∂z."""

    layer: ResidualLayer
    x: Tensor
    z: Tensor
    value: Tensor
    slope: Tensor
    by_output: Tensor
    by_z: Tensor


def _evaluate(net: FittingNet, D: Tensor, energy: Tensor, by_D: Tensor) -> list[_State]:
    """Fill energy (n,) and ∂E/∂D (n, n_in) of one element's atoms; for K elements (K, n, …)."""
    x, states = D, []
    for layer in net.layers:
        z = layer.linear(x)
        value = layer.activation.value(z)
        states.append(_State(layer, x, z, value, layer.activation.slope(z, value), z, z))
        x = layer.with_skip(layer.scaled(value), x)
    energy.copy_((x @ net.weight + net.bias).squeeze(-1))
    by_output = net.weight.mT.expand(*x.shape)
    for state in reversed(states):
        state.by_output, state.by_z = by_output, state.layer.scaled(by_output * state.slope)
        by_output = _by_input(state, by_output, state.by_z)
    by_D.copy_(by_output)
    return states


def _backward(
    net: FittingNet, states: list[_State], of_energy: Tensor, of_gradient: Tensor, by_D: Tensor
) -> list[Tensor]:
    """Gradients in the order of net.weights(); fills by_D, the gradient with respect to the descriptor.

    Two passes: first up through the layers, opposite to the pass that computed ∂E/∂D, then down as usual.
    """
    u, ups = of_gradient, []
    for state in states:
        change = u @ state.layer.weight
        ups.append((state, u, change))
        u = state.layer.with_skip(state.layer.scaled(change * state.slope), u)
    output = state.layer.with_skip(state.layer.scaled(state.value), state.x)
    of_energy = of_energy.unsqueeze(-1)
    of_last = output.mT @ of_energy + u.sum(-2).unsqueeze(-1), of_energy.sum(-2)
    by_output = of_energy * net.weight.mT
    by_layers: list[list[Tensor]] = []
    for state, u, change in reversed(ups):
        by_output, gradients = _layer_backward(state, u, change, by_output)
        by_layers.insert(0, gradients)
    by_D.copy_(by_output)
    return [*of_last, *(gradient for gradients in by_layers for gradient in gradients)]


def _layer_backward(
    state: _State, u: Tensor, change: Tensor, by_output: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """∂L/∂x and the gradients of W, b and idt, from u = ∂L/∂(∂E/∂x), change = uW and ∂L/∂y.

    L depends on z through y and, through the slope f'(z), through ∂E/∂z.
    """
    layer = state.layer
    curvature = layer.activation.curvature(state.z, state.value, state.slope)
    by_z = layer.scaled(by_output * state.slope + change * state.by_output * curvature)
    weight = torch.cat((u, state.x), dim=-2).mT @ torch.cat((state.by_z, by_z), dim=-2)
    gradients = [weight, by_z.sum(-2)]
    if layer.idt is not None:
        gradients.append((by_output * state.value + change * state.slope * state.by_output).sum(-2))
    return _by_input(state, by_output, by_z), gradients


def _by_input(state: _State, by_output: Tensor, by_z: Tensor) -> Tensor:
    """∂E/∂x of a layer from ∂E/∂y and ∂E/∂z."""
    return state.layer.skip_back(by_output, by_z @ state.layer.weight.mT)
