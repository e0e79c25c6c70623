"""Evaluates the DeepSPIN network by two calls of the compiled kernels: forward and backward pass.

The results equal those of spinpot.models.deepspin.descriptor and fitting, which use torch's operations.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from spinpot.data.batch import Batch
from spinpot.kernels.interface import structure
from spinpot.models.compiled import Call, filled, of_batch, pointers, widths
from spinpot.models.deepspin.activations import of_activation
from spinpot.models.deepspin.collocation import SCALE
from spinpot.models.deepspin.descriptor import Descriptor
from spinpot.models.deepspin.fitting import FittingNet

_IN = structure("spinpot_deepspin")
OF_DESCRIPTOR = ("davg", "dstd", "sel", "n_sel")
OF_GRID = ("low", "step", "polynomials", "n_nodes", "column")
"""Attributes of these objects that _IN has under the same name."""


class Network(Call):
    """The network of a batch. scale: (2T,), η of the neighbour types."""

    name = "deepspin"

    def __init__(self, descriptor: Descriptor, nets: FittingNet, batch: Batch, scale: Tensor) -> None:
        weights = [*descriptor.embedding_nets.in_threes(), *nets.in_threes()]
        self.embedding_weights = 3 * len(descriptor.embedding_nets.layers)
        embedding, fitting, last_weight, last_bias = self._by_use(weights)
        grid, dtype = descriptor.grid(batch), descriptor.davg.dtype
        chunks = grid.chunks
        values = {
            **of_batch(batch, dtype),
            **{name: getattr(descriptor, name) for name in OF_DESCRIPTOR},
            **{name: getattr(grid, name) for name in OF_GRID},
            **network_settings(descriptor, nets),
            "single": dtype == torch.float32,
            "types": descriptor.n_types,
            "eta": scale.to(dtype),
            "points": chunks.points,
            "chunks": chunks.points.shape[0],
            "chunk": chunks.points.shape[1],
            "first": chunks.first,
            "nets": descriptor.net_number(chunks.centre, chunks.neighbour),
            "columns": grid.widths,
            "embedding": embedding,
            "embedding_widths": widths(embedding),
            "embedding_nets": len(embedding[0]),
            "embedding_layers": len(embedding) // 3,
            "fitting": fitting,
            "fitting_widths": widths(fitting),
            "fitting_layers": len(fitting) // 3,
            "last_weight": last_weight,
            "last_bias": last_bias,
        }
        super().__init__(filled(_IN(), values), descriptor.davg, weights)

    def _by_use(self, weights: Sequence[Tensor]) -> tuple[Sequence[Tensor], Sequence[Tensor], Tensor, Tensor]:
        """The weights of the embedding, of the fitting nets' hidden layers, and of their last layer."""
        n = self.embedding_weights
        return weights[:n], weights[n + 2 :], weights[n], weights[n + 1]

    def into(self, gradients: Sequence[Tensor]) -> Sequence[Any]:
        """As Call.into."""
        embedding, fitting, *last = self._by_use(gradients)
        return pointers(embedding), pointers(fitting), *map(Tensor.data_ptr, last)


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
