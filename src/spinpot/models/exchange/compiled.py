"""Evaluates the exchange term by the compiled kernels; results equal those of torch's operations."""

from ctypes import byref
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from spinpot import kernels
from spinpot.data.batch import Batch
from spinpot.kernels.interface import structure
from spinpot.models.compiled import filled, of_batch, outputs, room_for_derivatives

if TYPE_CHECKING:
    from spinpot.models.exchange.term import ExchangeTerm

_IN = structure("spinpot_exchange")
OF_TERM = ("magnetic", "elements", "moment_squared")
"""Attributes of the term that _IN has under the same name."""


def compiled_exchange(term: "ExchangeTerm", batch: Batch, wanted: int = 4) -> tuple[Tensor, ...]:
    """The first `wanted` of energies of atoms, force, magnetic force and virial; not differentiable."""
    values = {
        **of_batch(batch, torch.float64),
        **{name: getattr(term, name) for name in OF_TERM},
        **term.named(term.coefficients),
        "types": len(term.elements),
        "magnetic_types": len(term.types),
        "radial": term.basis.number,
        "fields": term.field_basis.number,
        "cutoff": term.basis.rcut,
    }
    given = filled(_IN(), values)
    found = room_for_derivatives(given, values["vector"])[:wanted]
    library: Any = kernels.library()
    kernels.checked(library.spinpot_exchange_forward(byref(given), outputs(found)))
    return found
