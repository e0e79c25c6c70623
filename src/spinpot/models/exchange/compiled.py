"""The exchange term by the kernels: what its other modules give by torch's operations."""

from __future__ import annotations

from ctypes import byref
from typing import TYPE_CHECKING, Any

import torch

from spinpot import kernels
from spinpot.data.batch import Batch
from spinpot.kernels.interface import structure
from spinpot.models.compiled import addresses, integers, outputs
from spinpot.models.derivatives import Derivatives

if TYPE_CHECKING:
    from spinpot.models.exchange.term import ExchangeTerm

_IN = structure("spinpot_exchange")
OF_BATCH = ("atom_order", "frame", "pair_start", "pair_neighbour", "pair_type", "neighbour_counts")
OF_TERM = ("magnetic", "elements", "moment_squared")
"""Arrays of _IN that are attributes of these."""


def compiled_exchange(term: ExchangeTerm, batch: Batch) -> Derivatives:
    """The term of a batch with its own coefficients, not to be differentiated by them."""
    tensors = {name: getattr(batch, name) for name in OF_BATCH} | {"vector": batch.pair_vector.double()}
    tensors |= {name: getattr(term, name) for name in OF_TERM} | {"spin": batch.spin.double()}
    tensors |= term.named(term.coefficients)
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    arrays = {"type_sizes": integers(batch.type_sizes)}
    given = _IN(
        threads=torch.get_num_threads(),
        types=len(term.elements),
        magnetic_types=len(term.types),
        atoms=len(batch.types),
        frames=batch.n_frames,
        pairs=len(batch.pair_type),
        radial=term.basis.number,
        fields=term.field_basis.number,
        cutoff=term.basis.rcut,
        **addresses(tensors, arrays),
    )
    new, atoms = tensors["vector"].new_empty, given.atoms
    found = new(atoms), new(atoms, 3), new(atoms, 3), new(given.frames, 3, 3)
    own: Any = kernels.library()
    kernels.checked(own.spinpot_exchange_forward(byref(given), outputs(found)))
    return Derivatives(*found)
