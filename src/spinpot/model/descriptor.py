"""The se_e2_a descriptor on real and virtual neighbours (Zhang et al. 2018; DeepSPIN: Yang et al. 2024)."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from spinpot.data.batch import Batch
from spinpot.model.collocation import STENCIL, Collocation, Grid, PairMap, Stencil
from spinpot.model.environment import Rows, environment_rows, rows_with_derivatives
from spinpot.model.networks import ResidualNet, evaluate_together
from spinpot.model.settings import ModelSpec

PullBack = Callable[[Tensor], Tensor]


class Descriptor(nn.Module):
    """D = T Tᵀ[:, :axis] with T_i = (1/N_sel) Σ_j G(s~_ij) ⊗ R~_ij over the neighbours j of real centres i.

    R~ = (row − davg)/dstd are the normalised environment rows, s~ their first column, and G the embedding
    net of the (centre, neighbour) types. Every one of the N_sel slots that holds no neighbour adds what the
    row 0 gives: (a, 0, 0, 0) with a = −davg_s/dstd_s.

    davg, dstd: (T, 4) buffers, per centre element, from the training data.
    """

    davg: Tensor
    dstd: Tensor
    sel: Tensor
    neighbour_place: Tensor

    def __init__(self, spec: ModelSpec, generator: torch.Generator) -> None:
        super().__init__()
        settings = spec.descriptor
        n_types = len(spec.type_map)
        self.settings = settings
        self.radial = settings.radial
        self.n_types = n_types
        self.n_sel = sum(spec.sel_doubled)
        n_nets = 2 * n_types * (1 if settings.type_one_side else n_types)
        self.embedding_nets = nn.ModuleList(
            ResidualNet(1, settings.neuron, settings.activation_function, settings.resnet_dt, generator)
            for _ in range(n_nets)
        )
        self.register_buffer("davg", torch.zeros(n_types, 4, dtype=torch.float64))
        self.register_buffer("dstd", torch.ones(n_types, 4, dtype=torch.float64))
        self.register_buffer("sel", torch.tensor(spec.sel_doubled, dtype=torch.float64))
        self.collocation = Collocation(n_types)
        # The neighbour types that occur: every element, and the virtual atoms of the magnetic ones.
        self.neighbour_types = [*range(n_types), *(n_types + t for t in range(n_types) if spec.use_spin[t])]
        place = torch.zeros(2 * n_types, dtype=torch.int64)
        place[self.neighbour_types] = torch.arange(len(self.neighbour_types))
        self.register_buffer("neighbour_place", place, persistent=False)

    @property
    def width(self) -> int:
        """Numbers per atom."""
        return self.settings.neuron[-1] * self.settings.axis_neuron

    def embedding_net(self, centre_type: int, neighbour_type: int) -> ResidualNet:
        """The net G of a pair of types; neighbour types from T on are virtual atoms."""
        centre = 0 if self.settings.type_one_side else centre_type
        return cast(ResidualNet, self.embedding_nets[centre * 2 * self.n_types + neighbour_type])

    def forward(self, environment: Tensor) -> Tensor:
        """T (A, 4, M) → D = T Tᵀ[:, :axis], (A, width)."""
        part = environment[:, :, : self.settings.axis_neuron]
        return torch.bmm(environment.transpose(1, 2), part).reshape(len(environment), self.width)

    def environment(self, batch: Batch, differentiable: bool) -> tuple[Tensor, PullBack]:
        """T of every atom (A, 4, M), and what makes ∂E/∂(pair vectors) (P, 3) of ∂E/∂T.

        With `differentiable` both can be differentiated with respect to the weights.
        """
        if self.radial == "direct":
            return self.direct_environment(batch, differentiable)
        return self.collocated_environment(batch, differentiable)

    def direct_environment(self, batch: Batch, differentiable: bool) -> tuple[Tensor, PullBack]:
        """The embedding nets evaluated for each pair."""
        settings = self.settings
        vector = batch.pair_vector.to(self.davg.dtype).detach().requires_grad_()
        rows = environment_rows(vector, settings.rcut_smth, settings.rcut, settings.env_protection)
        centre_type = batch.types[batch.pair_centre]
        rows = (rows - self.davg[centre_type]) / self.dstd[centre_type]
        terms = rows.unsqueeze(-1) * self._embed(rows[:, :1], batch).unsqueeze(-2)
        T = terms.new_zeros(len(batch.types), 4, terms.shape[-1]).index_add(0, batch.pair_centre, terms)
        T = self._complete(T, self._at_empty_slots(), batch)

        def pull_back(by_T: Tensor) -> Tensor:
            (gradient,) = torch.autograd.grad(T, vector, by_T, create_graph=differentiable)
            return gradient

        return T, pull_back

    def collocated_environment(self, batch: Batch, differentiable: bool) -> tuple[Tensor, PullBack]:
        """The embedding nets evaluated at nodes (spinpot.model.collocation)."""
        with torch.no_grad():
            rows = self._rows(batch)
            centre_type = batch.types[batch.pair_centre]
            s = rows.values[:, 0]
            grid = self.collocation.grid(s, centre_type, self.davg[:, 0], self.dstd[:, 0])
            pairs = self._pair_map(batch, rows, grid.locate(s, centre_type), grid.n_nodes)
            sums = pairs.sums().split(pairs.sizes)
        with torch.set_grad_enabled(differentiable):
            at_nodes, at_empty = self._at_nodes(grid)
            by_type = [B.reshape(-1, len(G)) @ G for B, G in zip(sums, at_nodes, strict=True)]
            T = torch.cat(by_type).reshape(len(batch.types), 4, at_empty.shape[-1])[batch.atom_place]
            T = self._complete(T, at_empty, batch)

        def pull_back(by_T: Tensor) -> Tensor:
            per_type = (by_T[batch.atom_order] / self.n_sel).split(batch.type_sizes)
            by_sums = [
                (by.reshape(-1, G.shape[1]) @ G.T).flatten() for by, G in zip(per_type, at_nodes, strict=True)
            ]
            return pairs.gradient(torch.cat(by_sums))

        return (T if T.requires_grad else T.requires_grad_()), pull_back

    def _complete(self, T: Tensor, at_empty: Tensor, batch: Batch) -> Tensor:
        """The sums over neighbours with the empty slots' part, Σ_j (sel_j − n_j) a G_j(a), over N_sel.

        at_empty: a G_j(a), (T, 2T, M).
        """
        empty = self.sel - batch.neighbour_counts.to(self.sel.dtype)
        added = torch.einsum("aj,tjm->tam", empty, at_empty)
        added = added[batch.types, torch.arange(len(batch.types), device=batch.types.device)]
        return torch.cat((T[:, :1] + added.unsqueeze(1), T[:, 1:]), dim=1) / self.n_sel

    def _embed(self, s: Tensor, batch: Batch) -> Tensor:
        """G(s~) of every pair, (P, 1) → (P, M); the pairs come sorted by their types."""
        blocks = s.split(batch.block_sizes)
        return torch.cat(
            [
                self.embedding_net(*divmod(block, 2 * self.n_types))(values)
                for block, values in enumerate(blocks)
            ]
        )

    def _at_empty_slots(self) -> Tensor:
        """What an unused slot adds to the s column, a G_j(a) with a = −davg_s/dstd_s, (T, 2T, M)."""
        a = -self.davg[:, 0] / self.dstd[:, 0]
        return torch.stack(
            [
                torch.cat([self.embedding_net(t, j)(a[t].reshape(1, 1)) for j in range(2 * self.n_types)])
                * a[t]
                for t in range(self.n_types)
            ]
        )

    def _rows(self, batch: Batch) -> Rows:
        settings, centre_type = self.settings, batch.types[batch.pair_centre]
        return rows_with_derivatives(
            batch.pair_vector.to(self.davg.dtype),
            settings.rcut_smth,
            settings.rcut,
            settings.env_protection,
            self.davg[centre_type],
            self.dstd[centre_type],
        )

    def _pair_map(self, batch: Batch, rows: Rows, stencil: Stencil, n_nodes: int) -> PairMap:
        """Where the pairs belong in B: for each atom, sorted by element, 4 × neighbour types × nodes numbers.

        Neighbour types that never occur, the virtual atoms of elements without spin, have no room in B.
        """
        room = len(self.neighbour_types) * n_nodes
        column = self.neighbour_place[batch.pair_type] * n_nodes + stencil.first
        start = batch.atom_place[batch.pair_centre] * 4 * room + column
        within = torch.arange(4, device=start.device).unsqueeze(1) * room + torch.arange(
            STENCIL, device=start.device
        )
        sizes = [4 * room * atoms for atoms in batch.type_sizes]
        return PairMap(start[:, None, None] + within, sizes, stencil, rows)

    def _at_nodes(self, grid: Grid) -> tuple[list[Tensor], Tensor]:
        """G at the nodes of every neighbour type, one behind the other, for each centre element; a G_j(a).

        ([(neighbour types · nodes, M), …], (T, 2T, M)). The first node of each grid is a, where s = 0.
        """
        every = 2 * self.n_types
        nets = [self.embedding_net(t, j) for t in range(self.n_types) for j in range(every)]
        points = grid.nodes().repeat_interleave(every, dim=0).unsqueeze(-1)
        values = evaluate_together(nets, points).reshape(self.n_types, every, grid.n_nodes, -1)
        a = points[::every, :1].unsqueeze(1)
        return [G[self.neighbour_types].flatten(0, 1) for G in values], values[:, :, 0] * a[:, :, 0]
