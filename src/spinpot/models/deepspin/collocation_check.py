"""Measures the error of the interpolated embedding and chooses the numbers of nodes.

Each net gets as many nodes as it needs to keep the error of its values below a common bound for all
arguments. The bound is the largest one with which energies and forces of some frames are within tolerance.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from spinpot.data.batch import Batch
from spinpot.models.deepspin.collocation import NUMBERS, STENCIL, Nodes
from spinpot.models.deepspin.descriptor import Descriptor, elements_of

if TYPE_CHECKING:
    from spinpot.models.deepspin.potential import DeepSpin

ENERGY_TOLERANCE = 1e-9
FORCE_TOLERANCE = 1e-8
"""eV/atom; eV/Å and eV/μ_B. A tenth of the documented tolerance, since only few frames are checked."""
MARGIN = 10.0
"""The numbers of nodes are reduced only if the errors stay below the tolerances by this factor.

The weights change until the next check; without a margin the numbers would oscillate.
"""
MOST_CENTRES = 256
NET_ERRORS = tuple(10.0**-n for n in range(4, 14))  # bounds of a net's error that are tried

Numbers = list[list[int]]  # numbers of nodes for each centre element and neighbour type


@dataclass(frozen=True)
class CollocationErrors:
    """Numbers of nodes, and the largest differences from the direct evaluation: eV/atom; eV/Å or eV/μ_B."""

    nodes: Numbers
    energy: float
    force: float

    @property
    def total(self) -> int:
        """All nodes."""
        return sum(map(sum, self.nodes))

    @property
    def most(self) -> int:
        """The largest number of nodes of a net."""
        return max(map(max, self.nodes))

    @property
    def size(self) -> float:
        """The larger of the two errors in units of its tolerance; infinite for NaN."""
        size = max(self.energy / ENERGY_TOLERANCE, self.force / FORCE_TOLERANCE)
        return size if math.isfinite(size) else math.inf

    @property
    def words(self) -> str:
        """A line that states the errors."""
        return (
            f"Embedding interpolated between up to {self.most} nodes: energies within {self.energy:.0e} "
            f"eV/atom, forces within {self.force:.0e} eV/Å of the direct evaluation."
        )

    @property
    def too_large(self) -> str:
        """A warning that states errors above the tolerances."""
        return (
            f"With up to {self.most} nodes the interpolated embedding still differs from the direct one "
            f"by {self.energy:.1e} eV/atom and {self.force:.1e} eV/Å. model.descriptor.radial=direct does "
            "not interpolate."
        )

    def within(self, margin: float = 1.0) -> bool:
        """Whether the errors are within the tolerances divided by `margin`."""
        return self.size * margin <= 1.0


class DirectValues:
    """Direct evaluation of a batch, the reference for any numbers of nodes.

    Always in float64, whatever the potential's precision. Only some of many atoms are evaluated, since the
    direct evaluation needs much memory.
    """

    def __init__(self, potential: DeepSpin, batch: Batch) -> None:
        self._twin = copy.deepcopy(potential).cpu().double()
        self._batch, self._seen = _seen_from_some(batch.to("cpu"))
        self._twin.descriptor.radial = "direct"
        self._values = self._twin(self._batch)
        self._twin.descriptor.radial = "collocated"

    def errors(self, numbers: Numbers) -> CollocationErrors:
        """The errors with these numbers of nodes."""
        self._twin.descriptor.nodes.numbers = numbers
        interpolated = self._twin(self._batch)
        difference = {name: (interpolated[name] - value).abs() for name, value in self._values.items()}
        return CollocationErrors(
            nodes=numbers,
            energy=float((difference["energy"] / self._seen).max()),
            force=max(float(difference[name].max()) for name in ("force", "force_mag")),
        )

    def candidates(self) -> Iterator[Numbers]:
        """Increasing numbers of nodes, one set per bound in NET_ERRORS."""
        return numbers_of_nodes(self._twin.descriptor, elements_of(self._batch))


def collocation_errors(potential: DeepSpin, batch: Batch) -> CollocationErrors:
    """The errors on a batch with the present nodes."""
    return DirectValues(potential, batch).errors(potential.descriptor.nodes.numbers)


def settle_nodes(potential: DeepSpin, batch: Batch, fewer: bool = True) -> CollocationErrors:
    """Choose the numbers of nodes by the errors on a batch; returns the errors, even if too large.

    fewer: also reduce the numbers if the errors stay within the tolerances by MARGIN. A second call with the
        same weights changes nothing.
    """
    direct = DirectValues(potential, batch)
    errors = direct.errors(potential.descriptor.nodes.numbers)
    if not errors.within():
        errors = _with_more(direct, errors)
    if fewer and errors.within():
        errors = _with_fewer(direct, errors)
    potential.descriptor.nodes.numbers = errors.nodes
    return errors


def _with_more(direct: DirectValues, errors: CollocationErrors) -> CollocationErrors:
    """The first candidates within the tolerances; if none is, the fewest nodes about as good as any."""
    known, tried = errors.nodes, [errors]
    for numbers in direct.candidates():
        errors = direct.errors([list(map(max, *rows)) for rows in zip(known, numbers, strict=True)])
        if errors.within():
            return errors
        tried.append(errors)
    smallest = min(one.size for one in tried)
    return next(one for one in tried if one.size <= 2.0 * smallest)


def _with_fewer(direct: DirectValues, errors: CollocationErrors) -> CollocationErrors:
    for numbers in direct.candidates():
        if sum(map(sum, numbers)) >= errors.total:
            break
        if (found := direct.errors(numbers)).within(MARGIN):
            return found
    return errors


def numbers_of_nodes(descriptor: Descriptor, elements: Sequence[int]) -> Iterator[Numbers]:
    """For each bound in NET_ERRORS: the fewest of NUMBERS with which each net's error is below it.

    Nets between other elements get the smallest number.
    """
    pairs = list(product(elements, descriptor.neighbour_types(elements)))
    places = dict.fromkeys(pairs, 0)
    errors = {pair: net_error(descriptor, pair, NUMBERS[0]) for pair in pairs}
    for wanted in NET_ERRORS:
        for pair in pairs:
            while errors[pair] > wanted and places[pair] + 1 < len(NUMBERS):
                places[pair] += 1
                errors[pair] = net_error(descriptor, pair, NUMBERS[places[pair]])
        yield [
            [NUMBERS[places.get((centre, neighbour), 0)] for neighbour in range(2 * descriptor.n_types)]
            for centre in range(descriptor.n_types)
        ]


def exact_numbers(descriptor: Descriptor) -> Numbers:
    """Numbers with which also the nets' slopes are exact to rounding; more nodes would amplify rounding."""
    *_, numbers = numbers_of_nodes(descriptor, range(descriptor.n_types))
    next_ones = dict(zip(NUMBERS, (*NUMBERS[1:], NUMBERS[-1]), strict=True))
    return [[next_ones[number] for number in row] for row in numbers]


def largest_net_error(descriptor: Descriptor, numbers: Numbers) -> float:
    """The largest net_error of the nets between all elements with these numbers of nodes."""
    elements = range(descriptor.n_types)
    pairs = product(elements, descriptor.neighbour_types(elements))
    return max(net_error(descriptor, pair, numbers[pair[0]][pair[1]]) for pair in pairs)


@torch.no_grad()
def net_error(descriptor: Descriptor, pair: tuple[int, int], number: int) -> float:
    """The largest error of a net (centre element, neighbour type) halfway between `number` nodes."""
    closest = descriptor.nodes.closest
    grid = descriptor.make_grid(Nodes.equally_many(closest, number), closest, [])
    centre, neighbour = torch.tensor(pair).unsqueeze(1)
    between, at = torch.arange(number - 1) + 0.5, torch.arange(int(grid.n_nodes[pair]))
    points, nodes = (grid.at(centre, neighbour, places).view(-1, 1) for places in (between, at))
    net = descriptor.embedding_net(*pair)
    stencil = grid.locate(points[:, 0], *(types.expand(len(points)) for types in (centre, neighbour)))
    seen = net(nodes)[stencil.first.unsqueeze(1) + torch.arange(STENCIL)]
    return float(((seen * stencil.value.unsqueeze(-1)).sum(1) - net(points)).abs().max())


def _seen_from_some(batch: Batch) -> tuple[Batch, Tensor]:
    """The batch with only the pairs of MOST_CENTRES of its atoms, and the number of these in each frame."""
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
