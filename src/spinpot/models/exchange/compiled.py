"""Evaluates the exchange term by the compiled kernels; results equal those of torch's operations."""

from collections.abc import Sequence
from ctypes import byref
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from spinpot import kernels
from spinpot.data.batch import Batch
from spinpot.kernels.interface import structure
from spinpot.models.compiled import addresses, integers, of_batch, outputs, room_for_derivatives, sizes
from spinpot.models.derivatives import Derivatives

if TYPE_CHECKING:
    from spinpot.models.exchange.term import ExchangeTerm

_IN = structure("spinpot_exchange")
OF_TERM = ("magnetic", "elements", "moment_squared")
"""Attributes of the term that _IN has under the same name."""


def compiled_exchange(term: "ExchangeTerm", batch: Batch) -> Derivatives:
    """The term of a batch; not differentiable with respect to the coefficients."""
    return Derivatives(*_evaluated(term, batch, 4))


def compiled_energies(term: "ExchangeTerm", batch: Batch) -> Tensor:
    """The energies alone."""
    return _evaluated(term, batch, 1)[0]


def _evaluated(term: "ExchangeTerm", batch: Batch, wanted: int) -> Sequence[Tensor]:
    """The first `wanted` outputs."""
    own = {name: getattr(term, name) for name in OF_TERM} | term.named(term.coefficients)
    tensors = of_batch(batch, torch.float64) | {name: tensor.contiguous() for name, tensor in own.items()}
    arrays = {"type_sizes": integers(batch.type_sizes)}
    given = _IN(
        types=len(term.elements),
        magnetic_types=len(term.types),
        radial=term.basis.number,
        fields=term.field_basis.number,
        cutoff=term.basis.rcut,
        **sizes(batch),
        **addresses(tensors, arrays),
    )
    found = room_for_derivatives(given, tensors["vector"])[:wanted]
    library: Any = kernels.library()
    kernels.checked(library.spinpot_exchange_forward(byref(given), outputs(found)))
    return found
