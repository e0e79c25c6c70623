"""Evaluates the native-spin model by the compiled kernels; results equal those of torch's operations."""

from collections.abc import Mapping, Sequence
from ctypes import byref
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from spinpot import kernels
from spinpot.data.batch import Batch
from spinpot.kernels.interface import structure
from spinpot.models.compiled import Call, filled, of_batch, outputs, pointers, widths
from spinpot.models.deepspin.activations import of_activation
from spinpot.models.deepspin.fitting import FittingNet
from spinpot.models.native_spin.groups import KINDS
from spinpot.models.native_spin.invariants import Invariants

_IN = structure("spinpot_native_spin")
OF_INVARIANTS = (
    *("magnetic", "moment_square", "mixing", "mean", "scale"),
    *("coefficient", "factors", "sum", "features"),
)
"""Attributes of these objects that _IN has under the same name."""


class Model(Call):
    """The model of a batch.

    of_energy: energy_scale, eV; linear, centre and nearness, (T, P). nets: None for a linear model. weights:
    linear, then three per layer of the nets.
    """

    name = "native_spin"

    def __init__(
        self, invariants: Invariants, batch: Batch, of_energy: Mapping[str, Any], nets: FittingNet | None
    ) -> None:
        self.trained = of_energy["linear"].requires_grad
        of_nets, values = ([], {}) if nets is None else (nets.in_threes(), _of_nets(nets))
        given = _given(invariants, batch, {**of_energy, **values})
        super().__init__(given, invariants.mean, [of_energy["linear"], *of_nets])

    def into(self, gradients: Sequence[Tensor]) -> Sequence[Any]:
        """As Call.into."""
        linear, *of_nets = gradients
        last = [own.data_ptr() for own in of_nets[:2]] or (None, None)
        return linear.data_ptr() if self.trained else None, pointers(of_nets[2:]), *last


def compiled_rows(invariants: Invariants, batch: Batch) -> list[Tensor]:
    """As spinpot.models.native_spin.rows: energy, force, force_mag and virial of each weight."""
    given = _given(invariants, batch, {"energy_scale": 1.0})
    new, columns = invariants.mean.new_empty, invariants.elements * invariants.size
    shapes = (given.frames,), (given.atoms, 3), (given.atoms, 3), (given.frames, 3, 3)
    found = [new(*shape, columns) for shape in shapes]
    own: Any = kernels.library()
    kernels.checked(own.spinpot_native_spin_rows(byref(given), outputs(found)))
    return found


def _given(invariants: Invariants, batch: Batch, values: Mapping[str, Any]) -> Any:
    """The struct; values: the fields that belong neither to the invariants nor to the batch."""
    of_invariants = _of_invariants(invariants)
    given = filled(_IN.from_buffer_copy(of_invariants), {**of_batch(batch, torch.float64), **values})
    given.kept.append(of_invariants)
    return given


_KEPT: WeakKeyDictionary[Invariants, tuple[list[int], Any]] = WeakKeyDictionary()
"""For each Invariants: addresses of its buffers, and the struct without a batch."""


def _of_invariants(invariants: Invariants) -> Any:
    """The struct's part that does not depend on the batch."""
    places = [getattr(invariants, name).data_ptr() for name in OF_INVARIANTS]
    kept = _KEPT.get(invariants)
    if kept is None or kept[0] != places:
        values = {
            **{name: getattr(invariants, name) for name in OF_INVARIANTS},
            "channels": [invariants.channels.get(kind, 0) for kind in KINDS],
            "types": invariants.elements,
            "radial": invariants.radial.number,
            "invariants": invariants.size,
            "terms": len(invariants.sum),
            "places": invariants.products.given + len(invariants.products.terms),
            "cutoff": invariants.radial.cutoff,
            "closest": invariants.radial.closest,
            "width": invariants.radial.width,
        }
        kept = _KEPT[invariants] = places, filled(_IN(), values)
    return kept[1]


def _of_nets(nets: FittingNet) -> dict[str, Any]:
    """The nets' fields of the struct."""
    last_weight, last_bias, *hidden = nets.in_threes()
    return {
        **of_activation("", nets.layers[0].activation_function),
        "single": nets.weight.dtype == torch.float32,
        "last_weight": last_weight,
        "last_bias": last_bias,
        "hidden": hidden,
        "widths": widths(hidden),
        "layers": len(hidden) // 3,
    }
