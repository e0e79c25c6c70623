"""What is linear in the pairs: the sums B of the collocated embedding, and the forces made of ∂E/∂B.

The structure is given and has no gradient of its own, so B is a constant, and its derivatives by the pair
vectors are a fixed linear map from ∂E/∂B to force, magnetic force and virial, whose transpose serves the
backward pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor

from spinpot.data.batch import Batch
from spinpot.models.deepspin.collocation import STENCIL, Grid, Stencil
from spinpot.models.deepspin.environment import Rows, rows_with_derivatives
from spinpot.models.deepspin.scatter import Derivatives, between_atoms, scatter
from spinpot.models.deepspin.settings import DescriptorSettings


@dataclass(frozen=True)
class Pairs:
    """The pairs of a batch and what of the model decides B, all of one dtype.

    davg, dstd: (T, 4); scale: (2T,), η of every neighbour type. vector, spin: as in the batch.
    """

    batch: Batch
    vector: Tensor
    spin: Tensor
    davg: Tensor
    dstd: Tensor
    scale: Tensor
    grid: Grid
    settings: DescriptorSettings

    @property
    def room(self) -> int:
        """Columns of B."""
        return max(self.grid.widths)

    @cached_property
    def centre_type(self) -> Tensor:
        """(P,), the element of each pair's centre."""
        return self.batch.types[self.batch.pair_centre]

    @cached_property
    def eta(self) -> Tensor:
        """Of each neighbour, (P, 1)."""
        return self.scale[self.batch.pair_type].unsqueeze(-1)

    @cached_property
    def between(self) -> Tensor:
        """Vectors between the real atoms, (P, 3)."""
        return between_atoms(self.batch, self.vector, self.eta, self.spin)


def derivatives(by_sums: Tensor, pairs: PairMap) -> Derivatives:
    """PairMap.derivatives, differentiable in ∂E/∂B."""
    return cast(Derivatives, _Map.apply(by_sums, pairs))  # type: ignore[no-untyped-call]


class _Map(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, by_sums: Tensor, pairs: PairMap) -> Derivatives:
        ctx.pairs = pairs
        return pairs.derivatives(by_sums.contiguous())

    @staticmethod
    def backward(ctx: Any, *weights: Tensor) -> tuple[Tensor, None]:
        return ctx.pairs.transposed(*(weight.contiguous() for weight in weights)), None


class PairMap:
    """B (A, 4, room), the atoms sorted by element, as `sums`, and its linear map."""

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs
        self.stencil: Stencil = pairs.grid.locate(
            self.rows.values[:, 0], pairs.centre_type, pairs.batch.pair_type
        )
        terms = self.rows.values.unsqueeze(-1) * self.stencil.value.unsqueeze(1)
        self.sums = self._add_up(terms)

    @cached_property
    def rows(self) -> Rows:
        """R~ of the pairs and their derivatives."""
        pairs, settings, centre_type = self.pairs, self.pairs.settings, self.pairs.centre_type
        return rows_with_derivatives(
            pairs.vector,
            settings.rcut_smth,
            settings.rcut,
            settings.env_protection,
            pairs.davg[centre_type],
            pairs.dstd[centre_type],
        )

    @cached_property
    def index(self) -> Tensor:
        """Places in B laid flat, (P, 4, STENCIL)."""
        pairs, batch, room = self.pairs, self.pairs.batch, self.pairs.room
        column = pairs.grid.column[pairs.centre_type, batch.pair_type] + self.stencil.first
        start = batch.atom_place[batch.pair_centre] * 4 * room + column
        within = torch.arange(4, device=start.device).unsqueeze(1) * room
        return start[:, None, None] + within + torch.arange(STENCIL, device=start.device)

    def _add_up(self, terms: Tensor) -> Tensor:
        """Numbers (P, 4, STENCIL) of the pairs added to their places, (A, 4, room)."""
        shape = (len(self.pairs.batch.types), 4, self.pairs.room)
        total = terms.new_zeros(shape)
        total.view(-1).index_add_(0, self.index.flatten(), terms.flatten())
        return total

    def derivatives(self, by_sums: Tensor) -> Derivatives:
        """Force (A, 3), magnetic force (A, 3) and virial (F, 3, 3) from ∂E/∂B."""
        pairs, stencil, rows = self.pairs, self.stencil, self.rows
        at_nodes = by_sums.flatten()[self.index]
        by_row = (at_nodes * stencil.value.unsqueeze(1)).sum(-1)
        by_s = ((at_nodes * stencil.derivative.unsqueeze(1)).sum(-1) * rows.values).sum(-1)
        by_row[:, 0] += by_s
        return scatter(rows.pull_back(by_row), pairs.batch, pairs.eta, pairs.between)

    def transposed(self, force: Tensor, force_mag: Tensor, virial: Tensor) -> Tensor:
        """The transpose, (A, 4, room)."""
        pairs, batch, stencil, rows = self.pairs, self.pairs.batch, self.stencil, self.rows
        of_strain = (virial[batch.pair_frame] @ pairs.between.unsqueeze(-1)).squeeze(-1)
        by_vector = force[batch.pair_centre] - force[batch.pair_neighbour]
        by_vector = by_vector - pairs.eta * force_mag[batch.pair_neighbour] - of_strain
        by_row = rows.push_forward(by_vector)
        by_s = by_row[:, :1] * rows.values
        terms = by_row.unsqueeze(-1) * stencil.value.unsqueeze(1)
        return self._add_up(terms.addcmul_(by_s.unsqueeze(-1), stencil.derivative.unsqueeze(1)))
