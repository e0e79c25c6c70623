"""The sums B over pairs of the collocated embedding, and the linear map from ∂E/∂B to forces.

The structure needs no gradient, so B is a constant. The derivatives of B with respect to the pair vectors are
a fixed linear map from ∂E/∂B to force, magnetic force and virial; the backward pass uses its transpose.
"""

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from spinpot.data.batch import Batch
from spinpot.models.deepspin.collocation import STENCIL, Grid
from spinpot.models.deepspin.environment import rows_with_derivatives
from spinpot.models.deepspin.scatter import Derivatives, between_atoms, scatter

if TYPE_CHECKING:
    from spinpot.models.deepspin.descriptor import Descriptor


class PairMap:
    """B (A, 4, room) as `sums`, with atoms sorted by element, and its linear map; all in davg's dtype.

    scale: (2T,), η of every neighbour type. room: columns of B. eta: (P, 1), η of each neighbour; between:
    (P, 3), vectors between the real atoms; rows: R~ of the pairs and their derivatives; index:
    (P, 4, STENCIL), indices into flattened B.
    """

    def __init__(self, batch: Batch, descriptor: "Descriptor", scale: Tensor, grid: Grid) -> None:
        settings, davg, dstd = descriptor.settings, descriptor.davg, descriptor.dstd
        self.batch, self.room = batch, max(grid.widths)
        centre_type, vector = batch.types[batch.pair_centre], batch.pair_vector.to(davg.dtype)
        self.eta = scale.to(davg.dtype)[batch.pair_type].unsqueeze(-1)
        self.between = between_atoms(batch, vector, self.eta, batch.spin.to(davg.dtype))
        widths = settings.rcut_smth, settings.rcut, settings.env_protection
        self.rows = rows_with_derivatives(vector, *widths, davg[centre_type], dstd[centre_type])
        values = self.rows.values
        self.stencil = grid.locate(values[:, 0], centre_type, batch.pair_type)
        column = grid.column[centre_type, batch.pair_type] + self.stencil.first
        start = batch.atom_place[batch.pair_centre] * 4 * self.room + column
        within = torch.arange(4, device=start.device).unsqueeze(1) * self.room
        self.index = start[:, None, None] + within + torch.arange(STENCIL, device=start.device)
        self.sums = self._add_up(values.unsqueeze(-1) * self.stencil.value.unsqueeze(1))

    def _add_up(self, terms: Tensor) -> Tensor:
        """Add values of the pairs (P, 4, STENCIL) at their indices: (A, 4, room)."""
        total = terms.new_zeros(len(self.batch.types), 4, self.room)
        total.view(-1).index_add_(0, self.index.flatten(), terms.flatten())
        return total

    def derivatives(self, by_sums: Tensor) -> Derivatives:
        """Force (A, 3), magnetic force (A, 3) and virial (F, 3, 3) from ∂E/∂B; differentiable."""
        return cast(Derivatives, _Map.apply(by_sums, self))  # type: ignore[no-untyped-call]

    def mapped(self, by_sums: Tensor) -> Derivatives:
        """The same map, not differentiable."""
        stencil, rows = self.stencil, self.rows
        at_nodes = by_sums.flatten()[self.index]
        by_row = (at_nodes * stencil.value.unsqueeze(1)).sum(-1)
        by_s = ((at_nodes * stencil.derivative.unsqueeze(1)).sum(-1) * rows.values).sum(-1)
        by_row[:, 0] += by_s
        return scatter(rows.pull_back(by_row), self.batch, self.eta, self.between)

    def transposed(self, force: Tensor, force_mag: Tensor, virial: Tensor) -> Tensor:
        """The transposed map, (A, 4, room)."""
        batch, stencil, rows = self.batch, self.stencil, self.rows
        of_strain = (virial[batch.pair_frame] @ self.between.unsqueeze(-1)).squeeze(-1)
        by_vector = force[batch.pair_centre] - force[batch.pair_neighbour]
        by_vector = by_vector - self.eta * force_mag[batch.pair_neighbour] - of_strain
        by_row = rows.push_forward(by_vector)
        by_s = by_row[:, :1] * rows.values
        terms = by_row.unsqueeze(-1) * stencil.value.unsqueeze(1)
        return self._add_up(terms.addcmul_(by_s.unsqueeze(-1), stencil.derivative.unsqueeze(1)))


class _Map(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, by_sums: Tensor, pairs: PairMap) -> Derivatives:
        ctx.pairs = pairs
        return pairs.mapped(by_sums.contiguous())

    @staticmethod
    def backward(ctx: Any, *weights: Tensor) -> tuple[Tensor, None]:
        return ctx.pairs.transposed(*(weight.contiguous() for weight in weights)), None
