"""How far the interpolated embedding is from the evaluated one, and as many nodes as that takes."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from spinpot.data.batch import Batch
from spinpot.model.collocation import fewer_nodes, more_nodes
from spinpot.model.potential import SpinPotential

ENERGY_TOLERANCE = 1e-9
FORCE_TOLERANCE = 1e-8
"""eV/atom; eV/Å and eV/μ_B. A tenth of what is promised for any frame, since few are looked at."""
MARGIN = 10.0
"""So much smaller than the tolerances the errors of fewer nodes must be before they are taken.

The weights change until the next check; and numbers would swing up and down at the tolerance itself.
"""
MOST_CENTRES = 256


@dataclass(frozen=True)
class CollocationErrors:
    """Nodes per type pair, and the largest differences to the direct evaluation: eV/atom; eV/Å or eV/μ_B."""

    nodes: int
    energy: float
    force: float

    def within(self, margin: float = 1.0) -> bool:
        """Whether they are within the tolerances divided by a margin."""
        return max(self.energy / ENERGY_TOLERANCE, self.force / FORCE_TOLERANCE) * margin <= 1.0


class DirectValues:
    """The evaluated embedding's values for a batch, with which any number of nodes is compared.

    All in float64 whatever the potential's own precision. Of many atoms only some are looked at, since the
    direct evaluation takes much memory.
    """

    def __init__(self, potential: SpinPotential, batch: Batch) -> None:
        self._twin = copy.deepcopy(potential).cpu().double()
        self._batch, self._seen = _seen_from_some(batch.to("cpu"))
        self._twin.descriptor.radial = "direct"
        self._values = self._twin(self._batch)
        self._twin.descriptor.radial = "collocated"

    def errors(self, number: int) -> CollocationErrors:
        """The differences with this number of nodes."""
        self._twin.descriptor.nodes.number = number
        interpolated = self._twin(self._batch)
        difference = {name: (interpolated[name] - value).abs() for name, value in self._values.items()}
        return CollocationErrors(
            nodes=number,
            energy=float((difference["energy"] / self._seen).max()),
            force=max(float(difference[name].max()) for name in ("force", "force_mag")),
        )


def collocation_errors(potential: SpinPotential, batch: Batch) -> CollocationErrors:
    """The differences on a batch with the nodes as they are."""
    return DirectValues(potential, batch).errors(potential.descriptor.nodes.number)


def settle_nodes(potential: SpinPotential, batch: Batch, fewer: bool = True) -> CollocationErrors:
    """Take as many nodes as the errors on a batch ask for; returns their errors, small or not.

    fewer: whether to take fewer where the errors stay within the tolerances by MARGIN. Settled once more
        with the same weights they stay.
    """
    direct = DirectValues(potential, batch)
    errors = direct.errors(potential.descriptor.nodes.number)
    if errors.within():
        errors = _with_fewer(direct, errors) if fewer else errors
    else:
        errors = _with_more(direct, errors)
    potential.descriptor.nodes.number = errors.nodes
    return errors


def _with_more(direct: DirectValues, errors: CollocationErrors) -> CollocationErrors:
    while not errors.within() and (number := more_nodes(errors.nodes)):
        errors = direct.errors(number)
    return errors


def _with_fewer(direct: DirectValues, errors: CollocationErrors) -> CollocationErrors:
    while (number := fewer_nodes(errors.nodes)) and (found := direct.errors(number)).within(MARGIN):
        errors = found
    return errors


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
