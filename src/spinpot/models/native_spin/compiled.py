"""The native-spin model by the kernels: what its other modules give by torch's operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from spinpot.data.batch import Batch
from spinpot.kernels.interface import structure
from spinpot.models.compiled import Call, addresses, integers, pointers, widths
from spinpot.models.deepspin.activations import kind_and_threshold
from spinpot.models.deepspin.fitting import FittingNet
from spinpot.models.derivatives import Derivatives
from spinpot.models.native_spin.groups import KINDS
from spinpot.models.native_spin.invariants import Invariants

_IN = structure("spinpot_native_spin")
OF_BATCH = ("atom_order", "frame", "pair_start", "pair_neighbour", "pair_type", "neighbour_counts")
OF_INVARIANTS = (
    *("magnetic", "moment_square", "mixing", "mean", "scale"),
    *("coefficient", "factors", "sum", "features"),
)
"""Arrays of _IN that are attributes of these."""


class _Call(Call):
    """linear, centre, nearness: (T, P). nets: None where the model has none."""

    name = "native_spin"

    def __init__(
        self,
        invariants: Invariants,
        batch: Batch,
        energy_scale: float,
        of_energy: dict[str, Tensor],
        nets: FittingNet | None,
        weights: list[Tensor],
    ) -> None:
        self.trained = of_energy["linear"].requires_grad
        of_nets = weights[1:]
        self.tensors = {
            name: tensor.detach().contiguous()
            for name, tensor in (_of_batch(batch) | _of_invariants(invariants) | of_energy).items()
        } | dict(zip(("last_weight", "last_bias"), of_nets[:2], strict=False))
        self.arrays = {
            "type_sizes": integers(batch.type_sizes),
            "channels": integers([invariants.channels.get(kind, 0) for kind in KINDS]),
        }
        if nets is not None:
            self.arrays |= {"widths": widths(of_nets[2:]), "hidden": pointers(of_nets[2:])}
        given = _IN(
            threads=torch.get_num_threads(),
            types=len(batch.type_sizes),
            atoms=len(batch.types),
            frames=batch.n_frames,
            pairs=len(batch.pair_type),
            radial=invariants.radial.number,
            invariants=invariants.size,
            terms=len(invariants.sum),
            places=invariants.products.given + len(invariants.products.terms),
            layers=len(of_nets[2:]) // 3,
            cutoff=invariants.radial.cutoff,
            closest=invariants.radial.closest,
            width=invariants.radial.width,
            energy_scale=energy_scale,
            **({} if nets is None else _of_nets(nets)),
            **addresses(self.tensors, self.arrays),
        )
        super().__init__(given, self.tensors["mean"], weights)

    def into(self, gradients: Sequence[Tensor]) -> Sequence[Any]:
        """As Call.into."""
        linear, *of_nets = gradients
        last = [own.data_ptr() for own in of_nets[:2]] or (None, None)
        return linear.data_ptr() if self.trained else None, pointers(of_nets[2:]), *last


def compiled_model(
    invariants: Invariants,
    batch: Batch,
    energy_scale: float,
    of_energy: dict[str, Tensor],
    nets: FittingNet | None,
    differentiable: bool,
) -> Derivatives:
    """Energies and their derivatives; with `differentiable` by the weights too, once.

    of_energy: `linear`, `centre` and `nearness`, (T, P).
    """
    weights = [of_energy["linear"], *(nets.in_threes() if nets is not None else ())]
    own = [weight.detach().contiguous() for weight in weights]
    call = _Call(invariants, batch, energy_scale, of_energy, nets, own)
    return call.derivatives(weights, differentiable)


def _of_batch(batch: Batch) -> dict[str, Tensor]:
    """By the names in _IN."""
    found = {name: getattr(batch, name) for name in OF_BATCH}
    return {**found, "vector": batch.pair_vector.double(), "spin": batch.spin.double()}


def _of_invariants(invariants: Invariants) -> dict[str, Tensor]:
    """By the names in _IN."""
    return {name: getattr(invariants, name) for name in OF_INVARIANTS}


def _of_nets(nets: FittingNet) -> dict[str, Any]:
    """By the names in _IN."""
    name, threshold = kind_and_threshold(nets.layers[0].activation_function)
    single = nets.weight.dtype == torch.float32
    return {"single": single, "activation": name.encode(), "threshold": threshold or 0.0}
