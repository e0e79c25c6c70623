"""The network as two calls of the kernels (spinpot.kernels), with its backward pass written out there.

It gives what spinpot.models.deepspin.descriptor and fitting give by torch's operations.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import byref, c_int64, c_void_p
from typing import Any, cast

import torch
from torch import Tensor

from spinpot import kernels
from spinpot.core.differentiable_once import differentiable_once
from spinpot.data.batch import Batch
from spinpot.kernels.interface import structure
from spinpot.models.deepspin.activations import kind_and_threshold
from spinpot.models.deepspin.collocation import SCALE, Grid
from spinpot.models.deepspin.descriptor import Descriptor
from spinpot.models.deepspin.fitting import FittingNet
from spinpot.models.derivatives import Derivatives


def compiled_network(
    descriptor: Descriptor, nets: FittingNet, batch: Batch, scale: Tensor, differentiable: bool
) -> Derivatives:
    """Energies and their derivatives; with `differentiable` by the weights too, once.

    scale: (2T,), η of every neighbour type.
    """
    weights = [*descriptor.embedding_nets.in_threes(), *nets.in_threes()]
    call = _Call(descriptor, nets, batch, scale, [weight.detach().contiguous() for weight in weights])
    if differentiable:
        energy, *derivatives = cast(tuple[Tensor, ...], _Compiled.apply(call, *weights))  # type: ignore[no-untyped-call]
    else:
        energy, *derivatives = call.forward(keep=False)
    return Derivatives(energy.double(), *derivatives)


_IN, _DERIVATIVES = structure("spinpot_deepspin"), structure("spinpot_derivatives")
OF_BATCH = ("atom_order", "frame", "pair_start", "pair_neighbour", "pair_type", "neighbour_counts")
OF_DESCRIPTOR = ("davg", "dstd", "sel")
OF_GRID = ("low", "step", "polynomials", "n_nodes", "column")
"""Arrays of _IN that are attributes of these."""


class _Call:
    """A batch and the weights as the kernels take them; holds what their pointers point to."""

    def __init__(
        self, descriptor: Descriptor, nets: FittingNet, batch: Batch, scale: Tensor, weights: list[Tensor]
    ) -> None:
        self.library: Any = kernels.library()
        self.kept = c_void_p()
        grid = descriptor.grid(batch)
        self.weights, self.embedding_weights = weights, 3 * len(descriptor.embedding_nets.layers)
        embedding, fitting, last_weight, last_bias = self._by_use(weights)
        self.tensors = {
            **_tensors(descriptor, grid, batch, scale),
            "last_weight": last_weight,
            "last_bias": last_bias,
        }
        self.arrays = {
            "type_sizes": (c_int64 * len(batch.type_sizes))(*batch.type_sizes),
            "columns": (c_int64 * len(batch.type_sizes))(*grid.widths),
            "embedding": _pointers(embedding),
            "fitting": _pointers(fitting),
            "embedding_widths": _widths(embedding),
            "fitting_widths": _widths(fitting),
        }
        self.given = _IN(
            types=len(batch.type_sizes),
            atoms=len(batch.types),
            frames=batch.n_frames,
            pairs=len(batch.pair_type),
            embedding_nets=len(embedding[0]),
            embedding_layers=len(embedding) // 3,
            fitting_layers=len(fitting) // 3,
            chunks=self.tensors["points"].shape[0],
            chunk=self.tensors["points"].shape[1],
            **_settings(descriptor, nets),
            **{name: tensor.data_ptr() for name, tensor in self.tensors.items()},
            **{name: ctypes.addressof(array) for name, array in self.arrays.items()},
        )

    def _by_use(self, weights: list[Tensor]) -> tuple[list[Tensor], list[Tensor], Tensor, Tensor]:
        """Of the embedding, of the fitting nets' hidden layers, and of their last one."""
        n = self.embedding_weights
        return weights[:n], weights[n + 2 :], weights[n], weights[n + 1]

    def forward(self, keep: bool) -> tuple[Tensor, ...]:
        """Energies of atoms (A,), force, magnetic force (A, 3) and virial (F, 3, 3); keep: for `backward`."""
        given, new = self.given, self.tensors["davg"].new_empty
        found = new(given.atoms), new(given.atoms, 3), new(given.atoms, 3), new(given.frames, 3, 3)
        kept = byref(self.kept) if keep else None
        kernels.checked(self.library.spinpot_deepspin_forward(byref(given), _outputs(found), kept))
        return found

    def backward(self, by_outputs: Sequence[Tensor]) -> list[Tensor]:
        """Gradients by the weights, in their order."""
        by = [gradient.contiguous() for gradient in by_outputs]
        found = [torch.empty_like(weight) for weight in self.weights]
        embedding, fitting, *last = self._by_use(found)
        into = _pointers(embedding), _pointers(fitting), *map(Tensor.data_ptr, last)
        kernels.checked(self.library.spinpot_deepspin_backward(self.kept, _outputs(by), *into))
        return found

    def __del__(self) -> None:
        if self.kept:
            self.library.spinpot_deepspin_free(self.kept)


def _tensors(descriptor: Descriptor, grid: Grid, batch: Batch, scale: Tensor) -> dict[str, Tensor]:
    """By the names in _IN, contiguous."""
    dtype, chunks = descriptor.davg.dtype, grid.chunks
    found = {
        **{name: getattr(batch, name) for name in OF_BATCH},
        **{name: getattr(descriptor, name) for name in OF_DESCRIPTOR},
        **{name: getattr(grid, name) for name in OF_GRID},
        "vector": batch.pair_vector.to(dtype),
        "spin": batch.spin.to(dtype),
        "eta": scale.to(dtype),
        "points": chunks.points,
        "first": chunks.first,
        "nets": descriptor.net_number(chunks.centre, chunks.neighbour),
    }
    return {name: tensor.contiguous() for name, tensor in found.items()}


def _settings(descriptor: Descriptor, nets: FittingNet) -> dict[str, Any]:
    """By the names in _IN."""
    settings = descriptor.settings
    of_embedding, embedding_threshold = kind_and_threshold(settings.activation_function)
    of_fitting, fitting_threshold = kind_and_threshold(nets.layers[0].activation_function)
    return {
        "single": descriptor.davg.dtype == torch.float32,
        "threads": torch.get_num_threads(),
        "rcut": settings.rcut,
        "rcut_smth": settings.rcut_smth,
        "protection": settings.env_protection,
        "n_sel": descriptor.n_sel,
        "scale": SCALE,
        "axis": settings.axis_neuron,
        "embedding_activation": of_embedding.encode(),
        "fitting_activation": of_fitting.encode(),
        "embedding_threshold": embedding_threshold or 0.0,
        "fitting_threshold": fitting_threshold or 0.0,
    }


def _outputs(tensors: Sequence[Tensor]) -> Any:
    return byref(_DERIVATIVES(*map(Tensor.data_ptr, tensors)))


def _pointers(tensors: Sequence[Tensor]) -> Any:
    """Null for those without numbers."""
    return (c_void_p * len(tensors))(*(tensor.data_ptr() or None for tensor in tensors))


def _widths(weights: Sequence[Tensor]) -> Any:
    """Of the input and of each layer, three weights each."""
    own = weights[::3]
    return (c_int64 * (len(own) + 1))(own[0].shape[-2], *(weight.shape[-1] for weight in own))


class _Compiled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, call: _Call, *weights: Tensor) -> tuple[Tensor, ...]:
        ctx.call = call
        ctx.save_for_backward(*weights)  # so that torch sees when they were changed meanwhile
        return call.forward(keep=True)

    @staticmethod
    @differentiable_once
    def backward(ctx: Any, *by_outputs: Tensor) -> tuple[Any, ...]:
        assert ctx.saved_tensors
        return None, *ctx.call.backward(by_outputs)
