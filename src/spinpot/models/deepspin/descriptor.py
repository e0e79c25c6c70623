"""The se_e2_a descriptor on real and virtual neighbours (Zhang et al. 2018; DeepSPIN: Yang et al. 2024)."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spinpot.data.batch import Batch
from spinpot.models.deepspin.collocation import BEYOND, CHUNK, ROUNDING, SCALE, USUAL_CLOSEST, Grid, Nodes
from spinpot.models.deepspin.environment import environment_rows, switch
from spinpot.models.deepspin.networks import ResidualNet
from spinpot.models.deepspin.pair_map import PairMap
from spinpot.models.deepspin.scatter import Derivatives, between_atoms, scatter
from spinpot.models.deepspin.spec import DeepSpinSpec

Number = TypeVar("Number", int, Tensor)

SMALLEST_DEVIATION = 0.01
UNSEEN_DEVIATION = 0.1  # dstd of elements without training atoms, as in deepmd-kit


class Descriptor(nn.Module):
    """D = T Tᵀ[:, :axis] with T_i = (1/N_sel) Σ_j G(s~_ij) ⊗ R~_ij over the neighbours j of real centres i.

    R~ = (row − davg)/dstd are the normalised environment rows, s~ their first column, and G the embedding
    net of the (centre, neighbour) types. Each of the N_sel slots without a neighbour contributes the row 0,
    which is normalised to (a, 0, 0, 0) with a = −davg_s/dstd_s.

    davg, dstd: (T, 4) buffers, per centre element, from the training data.
    """

    davg: Tensor
    dstd: Tensor
    sel: Tensor

    def __init__(self, spec: DeepSpinSpec, generator: torch.Generator) -> None:
        super().__init__()
        settings = spec.descriptor
        n_types = len(spec.type_map)
        self.settings = settings
        self.radial = settings.radial
        self.n_types = n_types
        self.n_sel = sum(spec.sel_doubled)
        n_nets = 2 * n_types * (1 if settings.type_one_side else n_types)
        nets = [ResidualNet.random(1, settings, generator) for _ in range(n_nets)]
        self.embedding_nets = ResidualNet.side_by_side(nets)
        self.register_buffer("davg", torch.zeros(n_types, 4, dtype=torch.float64))
        self.register_buffer("dstd", torch.ones(n_types, 4, dtype=torch.float64))
        self.register_buffer("sel", torch.tensor(spec.sel_doubled, dtype=torch.float64))
        self.nodes = Nodes.equally_many([USUAL_CLOSEST] * n_types)
        self._grids: tuple[Any, dict[Any, Grid]] = (None, {})
        self.use_spin = spec.use_spin

    @property
    def width(self) -> int:
        """Numbers per atom."""
        return self.settings.neuron[-1] * self.settings.axis_neuron

    def embedding_net(self, centre_type: int, neighbour_type: int) -> ResidualNet:
        """The net G of a pair of types; neighbour types from T on are virtual atoms."""
        return self.embedding_nets.one_of(self.net_number(centre_type, neighbour_type))

    def net_number(self, centre_type: Number, neighbour_type: Number) -> Number:
        """The index of the net of a pair of types, or of many pairs, in embedding_nets."""
        return neighbour_type + (0 if self.settings.type_one_side else 2 * self.n_types) * centre_type

    def environment(
        self, batch: Batch, scale: Tensor, differentiable: bool
    ) -> tuple[Tensor, Callable[[Tensor], Derivatives]]:
        """T (A, 4, M), the atoms sorted by element, and a function from ∂E/∂T to forces and virial.

        scale: (2T,), η of every neighbour type, Å/μ_B. differentiable: both can be differentiated with
        respect to the weights.
        """
        if self.radial == "direct":
            return self.direct_environment(batch, scale, differentiable)
        return self.collocated_environment(batch, scale)

    def direct_environment(
        self, batch: Batch, scale: Tensor, differentiable: bool
    ) -> tuple[Tensor, Callable[[Tensor], Derivatives]]:
        """`environment` with the embedding nets evaluated for each pair."""
        settings, dtype = self.settings, self.davg.dtype
        with torch.enable_grad():
            vector = batch.pair_vector.to(dtype).detach().requires_grad_()
            rows = environment_rows(vector, settings.rcut_smth, settings.rcut, settings.env_protection)
            centre_type = batch.types[batch.pair_centre]
            rows = (rows - self.davg[centre_type]) / self.dstd[centre_type]
            terms = rows.unsqueeze(-1) * self._embed(rows[:, :1], centre_type, batch.pair_type).unsqueeze(-2)
            sums = terms.new_zeros(len(batch.types), 4, terms.shape[-1])
            sums = sums.index_add(0, batch.atom_place[batch.pair_centre], terms)
            T = self._complete(sums, self._at_empty_slots(elements_of(batch)), batch) / self.n_sel

        def derivatives(by_T: Tensor) -> Derivatives:
            (gradient,) = torch.autograd.grad(T, vector, by_T, create_graph=differentiable)
            eta = scale.to(dtype)[batch.pair_type].unsqueeze(-1)
            between = between_atoms(batch, vector.detach(), eta, batch.spin.to(dtype))
            return scatter(gradient, batch, eta, between)

        return (T if differentiable else T.detach()), derivatives

    def collocated_environment(
        self, batch: Batch, scale: Tensor
    ) -> tuple[Tensor, Callable[[Tensor], Derivatives]]:
        """`environment` with the embedding nets interpolated (spinpot.models.deepspin.collocation)."""
        grid = self.grid(batch)
        pairs = PairMap(batch, self, scale, grid)
        at_nodes, at_empty = self._at_nodes(grid)
        sums = pairs.sums.split(batch.type_sizes)
        # A centre element with fewer nodes than another has empty columns at the end.
        by_type = [B[..., : len(G)].flatten(0, 1) @ G for B, G in zip(sums, at_nodes, strict=True)]
        T = self._complete(
            torch.cat(by_type).view(len(batch.types), 4, self.settings.neuron[-1]), at_empty, batch
        )

        def derivatives(by_T: Tensor) -> Derivatives:
            parts = by_T.split(batch.type_sizes)
            by_sums = [
                F.pad(by.flatten(0, 1) @ G.T, (0, pairs.room - len(G)))
                for by, G in zip(parts, at_nodes, strict=True)
            ]
            return pairs.derivatives(torch.cat(by_sums).view_as(pairs.sums))

        return T, derivatives

    def statistics(self, batches: Iterable[Batch]) -> tuple[Tensor, Tensor]:
        """Compute davg and dstd: means and standard deviations of the training frames' rows, float64.

        All N_sel slots count, empty ones as 0; x, y and z are pooled. dstd is taken about their mean, but
        davg is zero for them, so that the descriptor stays rotationally invariant.
        """
        settings, n_types = self.settings, self.n_types
        sums = torch.zeros(n_types, 4, dtype=torch.float64)
        squares = torch.zeros(n_types, 4, dtype=torch.float64)
        atoms = torch.zeros(n_types, dtype=torch.float64)
        for batch in batches:
            vector = batch.pair_vector
            rows = environment_rows(vector, settings.rcut_smth, settings.rcut, settings.env_protection)
            centre_type = batch.types[batch.pair_centre]
            sums.index_add_(0, centre_type, rows)
            squares.index_add_(0, centre_type, rows * rows)
            atoms += torch.tensor(batch.type_sizes)

        slots = (atoms * self.n_sel).unsqueeze(-1)
        mean, square = sums / slots.clamp(min=1), squares / slots.clamp(min=1)
        radial = (square[:, :1] - mean[:, :1] ** 2).clamp(min=0).sqrt()
        angular_mean, angular_square = mean[:, 1:].mean(1, keepdim=True), square[:, 1:].mean(1, keepdim=True)
        angular = (angular_square - angular_mean**2).clamp(min=0).sqrt()
        davg = torch.cat((mean[:, :1], torch.zeros(n_types, 3, dtype=torch.float64)), dim=1)
        dstd = torch.cat((radial, angular.expand(-1, 3)), dim=1).clamp(min=SMALLEST_DEVIATION)
        return davg, torch.where(slots > 0, dstd, UNSEEN_DEVIATION)

    def neighbour_types(self, elements: Sequence[int]) -> list[int]:
        """Neighbour types that some elements provide: real atoms, and virtual atoms of magnetic elements."""
        return [*elements, *(self.n_types + t for t in elements if self.use_spin[t])]

    def grid(self, batch: Batch) -> Grid:
        """The nodes for the elements and the closest neighbours of a batch."""
        return self.grid_for(elements_of(batch) or [0], batch.closest)

    def grid_for(self, elements: Sequence[int], closest: list[float]) -> Grid:
        """The nodes for structures of some elements; closest: as in a Batch."""
        beyond = self.nodes.end_before(closest)
        davg, dstd = self.davg, self.dstd
        made_of = (
            *(str(self.nodes), davg.dtype, davg.device, _identity(davg), _identity(dstd)),
            torch.is_inference_mode_enabled(),  # training cannot use tensors made in inference mode
        )
        if self._grids[0] != made_of:
            self._grids = made_of, {}
        grids, key = self._grids[1], (*elements, tuple(closest) if beyond else None)
        if key not in grids:
            for other in [other for other in grids if beyond and other[-1] is not None]:
                del grids[other]  # a structure with closer neighbours needs a grid of its own
            grids[key] = self.make_grid(self.nodes, closest, elements)
        return grids[key]

    def make_grid(self, nodes: Nodes, closest: list[float], elements: Sequence[int]) -> Grid:
        """The grid of given nodes, for structures as in `grid_for`.

        For neighbours closer than in training, nodes are appended and the others stay in place, so that the
        contribution of a pair does not depend on other pairs.
        """
        settings, davg, dstd = self.settings, self.davg[:, 0], self.dstd[:, 0]

        def reach(distances: list[float]) -> Tensor:
            r = davg.new_tensor(distances)
            s = switch(r, settings.rcut_smth, settings.rcut) / (r + settings.env_protection)
            return torch.log1p(s / dstd / SCALE).unsqueeze(1)

        last = torch.tensor(nodes.numbers, device=davg.device) - 1
        step = reach(nodes.closest) / last
        if nodes.end_before(closest):
            last = last.maximum((reach(closest) / step - ROUNDING).ceil().long())
        n_chunks = -(-(last + 1 + BEYOND) // CHUNK)
        return Grid(-davg / dstd, step, n_chunks, list(elements), self.neighbour_types(elements))

    def _complete(self, sums: Tensor, at_empty: Tensor, batch: Batch) -> Tensor:
        """Add the part of empty slots, Σ_j (sel_j − n_j) a G_j(a). at_empty: a G_j(a), (T, 2T, M)."""
        empty = (self.sel - batch.neighbour_counts[batch.atom_order]).to(sums.dtype)
        parts = zip(empty.split(batch.type_sizes), at_empty, strict=True)
        added = torch.cat([counts @ values for counts, values in parts]).unsqueeze(1)
        return sums + F.pad(added, (0, 0, 0, 3))

    def _embed(self, s: Tensor, centre_type: Tensor, pair_type: Tensor) -> Tensor:
        """G(s~) of every pair, (P, 1) → (P, M)."""
        block = centre_type * 2 * self.n_types + pair_type
        order = torch.argsort(block, stable=True)
        sizes = torch.bincount(block, minlength=2 * self.n_types**2).tolist()
        occurring = [(n, size) for n, size in enumerate(sizes) if size]
        blocks = zip(occurring, s[order].split([size for _, size in occurring]), strict=True)
        values = [self.embedding_net(*divmod(n, 2 * self.n_types))(block) for (n, _), block in blocks]
        if not values:
            return s.new_zeros(0, self.settings.neuron[-1])
        return torch.cat(values)[torch.argsort(order)]

    def _at_empty_slots(self, elements: Sequence[int]) -> Tensor:
        """The part of one empty slot, a G_j(a) with a = −davg_s/dstd_s, (T, 2T, M); 0 for other centres."""
        a = -self.davg[:, 0] / self.dstd[:, 0]
        types = torch.arange(2 * self.n_types, device=a.device)
        added = [a.new_zeros(len(types), self.settings.neuron[-1])] * self.n_types
        for t in elements:
            nets = self.embedding_nets.some(self.net_number(t, 0) + types)
            added[t] = nets(a[t].expand(len(types), 1, 1)).squeeze(1) * a[t]
        return torch.stack(added)

    def _at_nodes(self, grid: Grid) -> tuple[Sequence[Tensor], Tensor]:
        """G/N_sel at the nodes of each centre element's neighbour types, and a G_j(a)/N_sel.

        ([(columns of B, M), …], (T, 2T, M)). The first node of each pair of types is a, where s = 0.
        """
        chunks = grid.chunks
        nets = self.embedding_nets.some(self.net_number(chunks.centre, chunks.neighbour))
        values = nets(chunks.points) / self.n_sel
        in_columns = values.flatten(0, 1)[: sum(grid.widths)]
        return in_columns.split(grid.widths), values[chunks.first, 0] * grid.low.view(-1, 1, 1)


def elements_of(batch: Batch) -> list[int]:
    """The elements that occur in a batch."""
    return [t for t, count in enumerate(batch.type_sizes) if count]


def _identity(numbers: Tensor) -> tuple[int, int | None]:
    """A key that changes when the tensor changes; tensors of inference mode do not count their changes."""
    return numbers.data_ptr(), None if numbers.is_inference() else numbers._version
