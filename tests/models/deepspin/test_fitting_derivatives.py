"""Energies and derivatives of the fitting nets agree with automatic differentiation."""

import pytest
import torch

from spinpot.models.deepspin.fitting import FittingNet, energy_and_gradient
from spinpot.models.deepspin.settings import FittingSettings


@pytest.mark.parametrize(
    "activation", ["tanh", "gelu", "silu", "softplus", "sigmoid", "linear", "relu", "relu6"]
)
@pytest.mark.parametrize("neuron", [(6, 6), (5, 10), (4, 7, 7)], ids=str)
@pytest.mark.parametrize("resnet_dt", [False, True])
def test_fitting_is_what_automatic_differentiation_gives(activation, neuron, resnet_dt):
    generator = torch.Generator().manual_seed(3)
    settings = (5, FittingSettings(neuron, activation, resnet_dt), generator)
    nets = FittingNet.side_by_side([FittingNet.random(*settings) for _ in range(2)])
    descriptor = torch.randn(7, 5, dtype=torch.float64, generator=generator).requires_grad_()
    weights = torch.randn(7, 6, dtype=torch.float64, generator=generator)

    def gradients(energy, by_descriptor):
        loss = (energy.square() * weights[:, 0]).sum() + (by_descriptor.square() * weights[:, 1:]).sum()
        return torch.autograd.grad(loss, [descriptor, *nets.parameters()], materialize_grads=True)

    sizes = [4, 3]
    ours = energy_and_gradient(nets, descriptor, sizes)
    parts = descriptor.split(sizes)
    energy = torch.cat([nets.one_of(k)(part) for k, part in enumerate(parts)])
    (slope,) = torch.autograd.grad(energy.sum(), descriptor, create_graph=True)
    torch.testing.assert_close(ours[0], energy)
    torch.testing.assert_close(ours[1], slope)
    for one, other in zip(gradients(*ours), gradients(energy, slope), strict=True):
        torch.testing.assert_close(one, other)
