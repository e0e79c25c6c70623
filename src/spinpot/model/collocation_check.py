"""How far the interpolated embedding is from the evaluated one, and nodes added where that is too far."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from spinpot.data.batch import Batch
from spinpot.model.potential import SpinPotential

ENERGY_TOLERANCE = 1e-9
FORCE_TOLERANCE = 1e-8
"""eV/atom; eV/Å and eV/μ_B. A tenth of what is promised for any frame, since few are looked at."""
MOST_NODES = 1024
MOST_CENTRES = 256


@dataclass(frozen=True)
class CollocationErrors:
    """Nodes per type pair, and the largest differences to the direct evaluation: eV/atom; eV/Å or eV/μ_B."""

    nodes: int
    energy: float
    force: float

    @property
    def small(self) -> bool:
        """Whether they are within the tolerances."""
        return self.energy <= ENERGY_TOLERANCE and self.force <= FORCE_TOLERANCE


def collocation_errors(potential: SpinPotential, batch: Batch) -> CollocationErrors:
    """The differences on a batch, in float64, whatever the potential's own precision.

    Of many atoms only some are looked at, since the direct evaluation takes much memory.
    """
    twin = copy.deepcopy(potential).cpu().double()
    batch, seen = _seen_from_some(batch.to("cpu"))
    interpolated = twin(batch)
    twin.descriptor.radial = "direct"
    direct = twin(batch)
    difference = {name: (interpolated[name] - direct[name]).abs() for name in direct}
    return CollocationErrors(
        nodes=potential.descriptor.nodes.number,
        energy=float((difference["energy"] / seen).max()),
        force=max(float(difference[name].max()) for name in ("force", "force_mag")),
    )


def _seen_from_some(batch: Batch) -> tuple[Batch, Tensor]:
    """The batch with the pairs of MOST_CENTRES of its atoms only, and how many of each frame these are."""
    stride = -(-len(batch.types) // MOST_CENTRES)
    kept = torch.arange(len(batch.types)) % stride == 0
    pairs = kept[batch.pair_centre]
    counts = batch.neighbour_counts * kept.unsqueeze(1)
    thinned = replace(
        batch,
        neighbour_counts=counts,
        pair_start=torch.cat((torch.zeros(1, dtype=torch.int64), counts.sum(1).cumsum(0))),
        **{name: getattr(batch, name)[pairs] for name in ("pair_neighbour", "pair_type", "pair_vector")},
    )
    seen = torch.zeros(batch.n_frames, dtype=torch.int64).index_add_(0, batch.frame, kept.long())
    return thinned, seen.clamp(min=1)


def add_nodes(potential: SpinPotential, batch: Batch) -> CollocationErrors:
    """Take more nodes until the errors on a batch are small; returns the last errors, small or not."""
    while True:
        errors = collocation_errors(potential, batch)
        if errors.small or errors.nodes >= MOST_NODES:
            return errors
        potential.descriptor.nodes.add()
