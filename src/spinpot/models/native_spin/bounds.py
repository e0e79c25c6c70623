"""Bounds of what the nets see: far from the training frames they are constant, and the linear part is alone.

In place of an invariant z a net gets x = centre + d/√(1 + nearness d²), d = z − centre, at most 1/√nearness
from the centre. Where the training frames are, x is nearly z; far from them ∂x/∂z = (1 + nearness d²)^(−3/2)
vanishes, and with it the net's forces. ∂x/∂z is never above 1. (A factor of the net that falls with the
distance would give forces by its slope.)
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from spinpot.data.batch import Batch, batches
from spinpot.data.dataset import make_frame
from spinpot.data.geometry import Geometry
from spinpot.data.systems import System
from spinpot.models.native_spin.invariants import Invariants
from spinpot.models.native_spin.statistics import AT_ONCE, looked_at

REACH = 20.0
"""The largest |x − centre|, in deviations of the training frames,"""
LEAST_DEVIATION = 0.05
"""which are at least this part of those of jittered frames: narrow bounds make curves sharp."""


def bounds(
    invariants: Invariants, geometry: Geometry, systems: Sequence[System], jitter: Tensor, seed: int
) -> tuple[Tensor, Tensor]:
    """Centre and nearness (T, P) by training frames, of many by some; zero for an element without any.

    jitter, seed: what settle_invariants gives and takes.
    """
    frames = (make_frame(*place) for place in looked_at(systems, seed))
    plain = invariants_of(invariants, batches(frames, geometry, AT_ONCE))
    centre, nearness = torch.zeros_like(invariants.mean), torch.zeros_like(invariants.mean)
    for element, own in enumerate(plain):
        if len(own) < 2:
            continue
        width = REACH * torch.maximum(own.std(dim=0), LEAST_DEVIATION * jitter[element])
        centre[element] = own.mean(dim=0)
        nearness[element] = torch.where(invariants.scale[element] > 0.0, width**-2, 0.0)
    return centre, nearness


def invariants_of(invariants: Invariants, given: Iterable[Batch]) -> list[Tensor]:
    """Those of the centres of each element, (n, P)."""
    found: list[list[Tensor]] = [[] for _ in range(invariants.elements)]
    for batch in given:
        z = invariants.normalised(batch, batch.pair_vector.double(), invariants.moments(batch))
        for parts, own in zip(found, z.split(batch.type_sizes), strict=True):
            parts.append(own)
    return [torch.cat(parts) for parts in found]
