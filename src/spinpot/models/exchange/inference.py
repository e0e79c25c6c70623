"""The exchange term as the kernels evaluate it without Python."""

import torch

from spinpot.models.exchange.term import ExchangeTerm
from spinpot.models.potential import InferencePart
from spinpot.models.spec import Spec


@torch.no_grad()
def inference_part(term: ExchangeTerm, spec: Spec) -> InferencePart:
    """All of it; pairs of elements and of terms are counted as in ExchangeTerm."""
    settings = {
        "cutoff": term.basis.rcut,
        "n_radial": term.basis.number,
        "n_field": term.field_basis.number,
        "terms": list(spec.exchange.terms),
    }
    arrays = {
        "seen": torch.from_numpy(spec.geometry.seen),
        **{name: getattr(term, name) for name in ("magnetic", "elements", "moment_squared")},
        **term.named(term.coefficients),
    }
    return InferencePart("exchange", settings, arrays)
