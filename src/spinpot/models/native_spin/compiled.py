"""Evaluates the native-spin model by the compiled kernels; results equal those of torch's operations."""

from collections.abc import Sequence
from ctypes import byref
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from spinpot import kernels
from spinpot.data.batch import Batch
from spinpot.kernels.interface import structure
from spinpot.models.compiled import (
    Call,
    addresses,
    as_they_lie,
    integers,
    of_batch,
    outputs,
    pointers,
    sizes,
    widths,
)
from spinpot.models.deepspin.activations import of_activation
from spinpot.models.deepspin.fitting import FittingNet
from spinpot.models.derivatives import Derivatives
from spinpot.models.native_spin.groups import KINDS
from spinpot.models.native_spin.invariants import Invariants

_IN = structure("spinpot_native_spin")
OF_INVARIANTS = (
    *("magnetic", "moment_square", "mixing", "mean", "scale"),
    *("coefficient", "factors", "sum", "features"),
)
"""Attributes of these objects that _IN has under the same name."""


class _Call(Call):
    """of_energy: as in compiled_model; weights: linear, then three per layer of the nets."""

    name = "native_spin"

    def __init__(
        self,
        invariants: Invariants,
        batch: Batch,
        of_energy: dict[str, Any],
        nets: FittingNet | None,
        weights: list[Tensor],
    ) -> None:
        self.trained = of_energy["linear"].requires_grad
        given, self.pointed_to = _given(invariants, batch, of_energy, nets, weights[1:])
        super().__init__(given, invariants.mean, weights)

    def into(self, gradients: Sequence[Tensor]) -> Sequence[Any]:
        """As Call.into."""
        linear, *of_nets = gradients
        last = [own.data_ptr() for own in of_nets[:2]] or (None, None)
        return linear.data_ptr() if self.trained else None, pointers(of_nets[2:]), *last


def compiled_model(
    invariants: Invariants,
    batch: Batch,
    of_energy: dict[str, Any],
    nets: FittingNet | None,
    differentiable: bool,
) -> Derivatives:
    """Energies and their derivatives; differentiable: once more, with respect to the weights.

    of_energy: energy_scale, eV; linear, centre and nearness, (T, P). nets: None for a linear model.
    """
    weights = [of_energy["linear"], *(nets.in_threes() if nets is not None else ())]
    call = _Call(invariants, batch, of_energy, nets, as_they_lie(weights))
    return call.derivatives(weights, differentiable)


def compiled_energies(
    invariants: Invariants, batch: Batch, of_energy: dict[str, Any], nets: FittingNet | None
) -> Tensor:
    """The energies alone."""
    weights = as_they_lie([of_energy["linear"], *(nets.in_threes() if nets is not None else ())])
    return _Call(invariants, batch, of_energy, nets, weights).energies()


def compiled_rows(invariants: Invariants, batch: Batch) -> list[Tensor]:
    """As spinpot.models.native_spin.rows: energy, force, force_mag and virial of each weight."""
    given, pointed_to = _given(invariants, batch, {}, None, ())
    new, columns = invariants.mean.new_empty, invariants.elements * invariants.size
    shapes = (given.frames,), (given.atoms, 3), (given.atoms, 3), (given.frames, 3, 3)
    found = [new(*shape, columns) for shape in shapes]
    own: Any = kernels.library()
    kernels.checked(own.spinpot_native_spin_rows(byref(given), outputs(found)))
    del pointed_to
    return found


def _given(
    invariants: Invariants,
    batch: Batch,
    of_energy: dict[str, Any],
    nets: FittingNet | None,
    of_nets: Sequence[Tensor],
) -> tuple[Any, Any]:
    """The struct, and the arrays it points to."""
    given, of_invariants = _of_invariants(invariants)
    tensors = of_batch(batch, torch.float64)
    tensors |= {name: value.contiguous() for name, value in of_energy.items() if isinstance(value, Tensor)}
    tensors |= dict(zip(("last_weight", "last_bias"), of_nets, strict=False))
    arrays = {"type_sizes": integers(batch.type_sizes)}
    settings = sizes(batch) | {"energy_scale": of_energy.get("energy_scale", 1.0)}
    if nets is not None:
        arrays |= {"widths": widths(of_nets[2:]), "hidden": pointers(of_nets[2:])}
        settings |= {"layers": len(of_nets[2:]) // 3, **_of_nets(nets)}
    for name, value in (settings | addresses(tensors, arrays)).items():
        setattr(given, name, value)
    return given, (tensors, arrays, of_invariants)


_KEPT: WeakKeyDictionary[Invariants, tuple[list[int], Any, Any]] = WeakKeyDictionary()
"""For each Invariants: addresses of its buffers, the struct without a batch, and the arrays it points to."""


def _of_invariants(invariants: Invariants) -> tuple[Any, Any]:
    """The struct's part that does not depend on the batch, and the arrays it points to."""
    places = [getattr(invariants, name).data_ptr() for name in OF_INVARIANTS]
    kept = _KEPT.get(invariants)
    if kept is None or kept[0] != places:
        tensors = {name: getattr(invariants, name).contiguous() for name in OF_INVARIANTS}
        arrays = {"channels": integers([invariants.channels.get(kind, 0) for kind in KINDS])}
        made = _IN(
            types=invariants.elements,
            radial=invariants.radial.number,
            invariants=invariants.size,
            terms=len(invariants.sum),
            places=invariants.products.given + len(invariants.products.terms),
            cutoff=invariants.radial.cutoff,
            closest=invariants.radial.closest,
            width=invariants.radial.width,
            **addresses(tensors, arrays),
        )
        kept = _KEPT[invariants] = places, made, (tensors, arrays)
    return _IN.from_buffer_copy(kept[1]), kept[2]


def _of_nets(nets: FittingNet) -> dict[str, Any]:
    """The nets' settings, by their names in _IN."""
    found = of_activation("", nets.layers[0].activation_function)
    single = nets.weight.dtype == torch.float32
    return {**found, "single": single, "activation": found["activation"].encode()}
