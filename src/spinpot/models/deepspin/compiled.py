"""The network as one compiled operator (spinpot.native), with its backward pass written out there.

It gives what spinpot.models.deepspin.descriptor and fitting give by torch's operations.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from spinpot.core.differentiable_once import differentiable_once
from spinpot.data.batch import Batch
from spinpot.models.deepspin.activations import kind_and_threshold
from spinpot.models.deepspin.collocation import SCALE, Grid
from spinpot.models.deepspin.descriptor import Descriptor
from spinpot.models.deepspin.fitting import FittingNet
from spinpot.models.derivatives import Derivatives


def compiled_network(
    make: Any, descriptor: Descriptor, nets: FittingNet, batch: Batch, scale: Tensor
) -> Derivatives:
    """Energies and their derivatives, differentiable once with respect to the weights.

    make: the operator. scale: (2T,), η of every neighbour type.
    """
    grid, settings = descriptor.grid(batch), descriptor.settings
    embedding = descriptor.embedding_nets.in_threes()
    fitting = nets.in_threes()
    embedding_activation, embedding_threshold = kind_and_threshold(settings.activation_function)
    fitting_activation, fitting_threshold = kind_and_threshold(nets.layers[0].activation_function)
    network = make(
        _tensors(descriptor, batch, scale, grid),
        embedding,
        fitting,
        batch.type_sizes,
        grid.widths,
        {
            "rcut": float(settings.rcut),
            "rcut_smth": float(settings.rcut_smth),
            "env_protection": float(settings.env_protection),
            "n_sel": float(descriptor.n_sel),
            "scale": SCALE,
            "embedding_threshold": embedding_threshold or 0.0,
            "fitting_threshold": fitting_threshold or 0.0,
        },
        settings.axis_neuron,
        batch.n_frames,
        embedding_activation,
        fitting_activation,
    )
    energy, *derivatives = cast(tuple[Tensor, ...], _Compiled.apply(network, *embedding, *fitting))  # type: ignore[no-untyped-call]
    return Derivatives(energy.double(), *derivatives)


def _tensors(descriptor: Descriptor, batch: Batch, scale: Tensor, grid: Grid) -> dict[str, Tensor]:
    """By the names they have where they come from."""
    dtype, chunks = descriptor.davg.dtype, grid.chunks
    of_batch = (
        *("frame", "types", "atom_order", "atom_place"),
        *("pair_neighbour", "pair_type", "pair_start", "neighbour_counts"),
    )
    return {
        **{name: getattr(batch, name) for name in of_batch},
        **{name: getattr(grid, name) for name in ("low", "step", "n_nodes", "column", "polynomials")},
        **{name: getattr(descriptor, name) for name in ("davg", "dstd", "sel")},
        "vector": batch.pair_vector.to(dtype),
        "spin": batch.spin.to(dtype),
        "eta": scale.to(dtype),
        "points": chunks.points,
        "first": chunks.first,
        "numbers": descriptor.net_number(chunks.centre, chunks.neighbour),
    }


class _Compiled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, network: Any, *weights: Tensor) -> tuple[Tensor, ...]:
        ctx.network = network
        ctx.save_for_backward(*weights)  # so that torch sees when they were changed meanwhile
        return cast(tuple[Tensor, ...], network.forward())

    @staticmethod
    @differentiable_once
    def backward(ctx: Any, *by_outputs: Tensor) -> tuple[Any, ...]:
        assert ctx.saved_tensors
        return None, *ctx.network.backward(*(by.contiguous() for by in by_outputs))
