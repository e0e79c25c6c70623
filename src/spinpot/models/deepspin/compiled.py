"""Evaluates the DeepSPIN network by two calls of the compiled kernels: forward and backward pass.

The results equal those of spinpot.models.deepspin.descriptor and fitting, which use torch's operations.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from spinpot.data.batch import Batch
from spinpot.kernels.interface import structure
from spinpot.models.compiled import (
    Call,
    addresses,
    as_they_lie,
    integers,
    of_batch,
    pointers,
    sizes,
    widths,
)
from spinpot.models.deepspin.activations import of_activation
from spinpot.models.deepspin.collocation import SCALE, Grid
from spinpot.models.deepspin.descriptor import Descriptor
from spinpot.models.deepspin.fitting import FittingNet
from spinpot.models.derivatives import Derivatives


def compiled_network(
    descriptor: Descriptor, nets: FittingNet, batch: Batch, scale: Tensor, differentiable: bool
) -> Derivatives:
    """Energies and derivatives. scale: (2T,), η of the neighbour types.

    differentiable: the result can be differentiated once with respect to the weights.
    """
    weights = [*descriptor.embedding_nets.in_threes(), *nets.in_threes()]
    call = _Call(descriptor, nets, batch, scale, as_they_lie(weights))
    return call.derivatives(weights, differentiable)


def compiled_energies(descriptor: Descriptor, nets: FittingNet, batch: Batch, scale: Tensor) -> Tensor:
    """The energies alone."""
    weights = as_they_lie([*descriptor.embedding_nets.in_threes(), *nets.in_threes()])
    return _Call(descriptor, nets, batch, scale, weights).energies()


_IN = structure("spinpot_deepspin")
OF_DESCRIPTOR = ("davg", "dstd", "sel")
OF_GRID = ("low", "step", "polynomials", "n_nodes", "column")
"""Attributes of these objects that _IN has under the same name."""


class _Call(Call):
    name = "deepspin"

    def __init__(
        self, descriptor: Descriptor, nets: FittingNet, batch: Batch, scale: Tensor, weights: list[Tensor]
    ) -> None:
        grid = descriptor.grid(batch)
        self.embedding_weights = 3 * len(descriptor.embedding_nets.layers)
        embedding, fitting, last_weight, last_bias = self._by_use(weights)
        self.tensors = {
            **_tensors(descriptor, grid, batch, scale),
            "last_weight": last_weight,
            "last_bias": last_bias,
        }
        self.arrays = {
            "type_sizes": integers(batch.type_sizes),
            "columns": integers(grid.widths),
            "embedding": pointers(embedding),
            "fitting": pointers(fitting),
            "embedding_widths": widths(embedding),
            "fitting_widths": widths(fitting),
        }
        given = _IN(
            types=len(batch.type_sizes),
            embedding_nets=len(embedding[0]),
            embedding_layers=len(embedding) // 3,
            fitting_layers=len(fitting) // 3,
            chunks=self.tensors["points"].shape[0],
            chunk=self.tensors["points"].shape[1],
            **sizes(batch),
            **_settings(descriptor, nets),
            **addresses(self.tensors, self.arrays),
        )
        super().__init__(given, descriptor.davg, weights)

    def _by_use(self, weights: Sequence[Tensor]) -> tuple[Sequence[Tensor], Sequence[Tensor], Tensor, Tensor]:
        """The weights of the embedding, of the fitting nets' hidden layers, and of their last layer."""
        n = self.embedding_weights
        return weights[:n], weights[n + 2 :], weights[n], weights[n + 1]

    def into(self, gradients: Sequence[Tensor]) -> Sequence[Any]:
        """As Call.into."""
        embedding, fitting, *last = self._by_use(gradients)
        return pointers(embedding), pointers(fitting), *map(Tensor.data_ptr, last)


def _tensors(descriptor: Descriptor, grid: Grid, batch: Batch, scale: Tensor) -> dict[str, Tensor]:
    """Contiguous arrays by their names in _IN."""
    dtype, chunks = descriptor.davg.dtype, grid.chunks
    found = {
        **{name: getattr(descriptor, name) for name in OF_DESCRIPTOR},
        **{name: getattr(grid, name) for name in OF_GRID},
        "eta": scale.to(dtype),
        "points": chunks.points,
        "first": chunks.first,
        "nets": descriptor.net_number(chunks.centre, chunks.neighbour),
    }
    return of_batch(batch, dtype) | {name: tensor.contiguous() for name, tensor in found.items()}


def _settings(descriptor: Descriptor, nets: FittingNet) -> dict[str, Any]:
    """Settings by their names in _IN."""
    found = {
        "single": descriptor.davg.dtype == torch.float32,
        "n_sel": descriptor.n_sel,
        **network_settings(descriptor, nets),
    }
    return {name: value.encode() if isinstance(value, str) else value for name, value in found.items()}


def network_settings(descriptor: Descriptor, nets: FittingNet) -> dict[str, Any]:
    """Settings that have the same names in the kernels and in model files."""
    settings = descriptor.settings
    return {
        "rcut": settings.rcut,
        "rcut_smth": settings.rcut_smth,
        "protection": settings.env_protection,
        "scale": SCALE,
        "axis": settings.axis_neuron,
        **of_activation("embedding_", settings.activation_function),
        **of_activation("fitting_", nets.layers[0].activation_function),
    }
