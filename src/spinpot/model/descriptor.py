"""The se_e2_a descriptor on real and virtual neighbours (Zhang et al. 2018; DeepSPIN: Yang et al. 2024)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spinpot.data.batch import Batch
from spinpot.model.environment import environment_rows
from spinpot.model.networks import ResidualNet
from spinpot.model.settings import ModelSpec


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

    def __init__(self, spec: ModelSpec, generator: torch.Generator) -> None:
        super().__init__()
        settings = spec.descriptor
        n_types = len(spec.type_map)
        self.settings = settings
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

    @property
    def width(self) -> int:
        """Numbers per atom."""
        return self.settings.neuron[-1] * self.settings.axis_neuron

    def embedding_net(self, centre_type: int, neighbour_type: int) -> nn.Module:
        """The net G of a pair of types; neighbour types from T on are virtual atoms."""
        centre = 0 if self.settings.type_one_side else centre_type
        return self.embedding_nets[centre * 2 * self.n_types + neighbour_type]

    def forward(self, pair_vector: Tensor, batch: Batch) -> Tensor:
        """Pair vectors (P, 3), Å → descriptors (A, width)."""
        settings = self.settings
        rows = environment_rows(pair_vector, settings.rcut_smth, settings.rcut, settings.env_protection)
        centre_type = batch.types[batch.pair_centre]
        rows = (rows - self.davg[centre_type]) / self.dstd[centre_type]
        n_atoms, width = len(batch.types), settings.neuron[-1]
        terms = rows.unsqueeze(-1) * self._embed(rows[:, :1], batch).unsqueeze(-2)
        T = terms.new_zeros(n_atoms, 4, width).index_add(0, batch.pair_centre, terms)
        T = torch.cat((T[:, :1] + self._empty_slots(batch).unsqueeze(1), T[:, 1:]), dim=1) / self.n_sel
        D = torch.bmm(T.transpose(1, 2), T[:, :, : settings.axis_neuron])
        return D.reshape(n_atoms, self.width)

    def _embed(self, s: Tensor, batch: Batch) -> Tensor:
        """G(s~) of every pair, (P, 1) → (P, M); the pairs come sorted by their types."""
        blocks = s.split(batch.block_sizes)
        return torch.cat(
            [
                self.embedding_net(*divmod(block, 2 * self.n_types))(values)
                for block, values in enumerate(blocks)
            ]
        )

    def _empty_slots(self, batch: Batch) -> Tensor:
        """What the unused slots add to the s column, Σ_j (sel_j − n_j) a G_j(a), (A, M)."""
        a = -self.davg[:, 0] / self.dstd[:, 0]
        per_slot = torch.stack(
            [
                torch.cat([self.embedding_net(t, j)(a[t].reshape(1, 1)) for j in range(2 * self.n_types)])
                * a[t]
                for t in range(self.n_types)
            ]
        )
        empty = self.sel - batch.neighbour_counts.to(self.sel.dtype)
        added = torch.einsum("aj,tjm->tam", empty, per_slot)
        return added[batch.types, torch.arange(len(batch.types), device=batch.types.device)]
