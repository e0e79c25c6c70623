"""The embedding nets as functions of one number: evaluated at nodes, interpolated between them.

G(s~) = Σ_m φ_m(s~) G(node_m) with piecewise polynomials φ, so that a sum over neighbours becomes

    T_i = Σ_j G(s~_ij) ⊗ R~_ij = Σ_m G(node_m) ⊗ B_im,    B_im = Σ_j φ_m(s~_ij) R~_ij.

B depends on the structure alone. So neither the energy, nor the forces, nor their derivatives by the weights
evaluate a net for each pair; the forces are the exact gradient of the interpolated energy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from spinpot.model.environment import Rows

STENCIL = 8
"""Nodes that a value is interpolated from: polynomials of degree 7."""
SCALE = 2.0
"""Width, in s~, within which nodes are about equally dense; beyond it their distance grows with s~.

The nets vary on the scale of 1 around s~ = 0, where most neighbours are, and less and less far from it.
"""
FEWEST_NODES = 64
ROUNDING = 1e-3
"""Of a number of nodes, so that float32 gives the same."""
USUAL_S_MAX = 2.0
"""1/Å, of a potential that has seen no data: neighbours 0.5 Å away."""


@dataclass(frozen=True)
class Stencil:
    """Where P values lie between the nodes: first node (P,) of their stencil, φ and dφ/ds~ (P, STENCIL)."""

    first: Tensor
    value: Tensor
    derivative: Tensor


class Collocation(nn.Module):
    """What the nodes are chosen by: part of a checkpoint, so that a resumed run is the uninterrupted one.

    s_max: (T,) the largest s = w(r)/(r + p) of a neighbour of each centre element in the training data, 1/Å;
    n_nodes: (), from s = 0 to s_max.
    """

    s_max: Tensor
    n_nodes: Tensor
    polynomials: Tensor

    def __init__(self, n_types: int) -> None:
        super().__init__()
        self.register_buffer("s_max", torch.full((n_types,), USUAL_S_MAX, dtype=torch.float64))
        self.register_buffer("n_nodes", torch.tensor(FEWEST_NODES))
        self.register_buffer("polynomials", lagrange_polynomials(STENCIL), persistent=False)

    def grid(self, s: Tensor, centre_type: Tensor, davg: Tensor, dstd: Tensor) -> Grid:
        """The nodes for centre elements with means and deviations davg, dstd (T,) of s.

        s: (P,) values s~ of centres of the given elements (P,). Where they lie beyond s_max more nodes
        follow, and those before stay where they are: a pair's share does not depend on the other pairs.
        """
        low, high = -davg / dstd, (self.s_max.to(davg.dtype) - davg) / dstd
        step = torch.log1p((high - low) / SCALE) / (self.n_nodes - 1)
        reached = high.scatter_reduce(0, centre_type, s, "amax")
        last = int((torch.log1p((reached - low) / SCALE) / step - ROUNDING).max().ceil())
        # Beyond the last value there is half a stencil, so that it has as many nodes on either side.
        return Grid(low, step, last + 1 + STENCIL // 2, self.polynomials)


@dataclass(frozen=True)
class Grid:
    """Nodes low + SCALE·(exp(m·step) − 1), m = 0 … n_nodes − 1, for each centre element; low, step: (T,)."""

    low: Tensor
    step: Tensor
    n_nodes: int
    polynomials: Tensor

    def nodes(self) -> Tensor:
        """(T, n_nodes)."""
        numbers = torch.arange(self.n_nodes, device=self.low.device, dtype=self.low.dtype)
        return self.low.unsqueeze(1) + SCALE * torch.expm1(self.step.unsqueeze(1) * numbers)

    def locate(self, s: Tensor, centre_type: Tensor) -> Stencil:
        """The stencils of s~ values (P,) of centres of the given elements (P,)."""
        shifted, step = s - self.low[centre_type], self.step[centre_type]
        place = torch.log1p(shifted / SCALE) / step
        first = (place.floor().long() - (STENCIL // 2 - 1)).clamp(0, self.n_nodes - STENCIL)
        # Seen from the middle of the stencil, where powers stay small.
        x = place - first - (STENCIL - 1) / 2
        powers = x.unsqueeze(-1).pow(torch.arange(STENCIL, device=s.device, dtype=s.dtype))
        slopes = torch.cat((torch.zeros_like(powers[:, :1]), powers[:, :-1]), dim=1)
        slopes = slopes * torch.arange(STENCIL, device=s.device, dtype=s.dtype)
        per_s = 1.0 / ((shifted + SCALE) * step)
        return Stencil(first, powers @ self.polynomials, (slopes @ self.polynomials) * per_s.unsqueeze(-1))


def lagrange_polynomials(points: int) -> Tensor:
    """Coefficients [power, m] of the polynomials that are 1 at point m and 0 at the others.

    The points are 1 apart and centred on 0.
    """
    x = np.arange(points) - (points - 1) / 2
    columns = []
    for m in range(points):
        others = np.delete(x, m)
        columns.append(np.poly(others)[::-1] / np.prod(x[m] - others))
    return torch.tensor(np.stack(columns, axis=1))


@dataclass(frozen=True)
class PairMap:
    """How B is made of pairs, a linear map of their stencils and rows.

    index: (P, 4, STENCIL) places in B laid flat; sizes: numbers in B for the atoms of each element.
    """

    index: Tensor
    sizes: list[int]
    stencil: Stencil
    rows: Rows

    def sums(self) -> Tensor:
        """B, laid flat: each pair adds φ_m R~_c at its node m and column c."""
        terms = self.rows.values.unsqueeze(-1) * self.stencil.value.unsqueeze(1)
        return terms.new_zeros(sum(self.sizes)).index_add_(0, self.index.flatten(), terms.flatten())

    def gradient(self, by_sums: Tensor) -> Tensor:
        """Σ ∂E/∂B ∂B/∂d for each pair (P, 3), from ∂E/∂B laid flat; differentiable in the latter."""
        return cast(Tensor, _PairGradient.apply(by_sums, self))


class _PairGradient(torch.autograd.Function):
    """A linear map and its transpose; the structure itself has no gradient here."""

    @staticmethod
    def forward(ctx: Any, by_sums: Tensor, pairs: PairMap) -> Tensor:
        ctx.pairs = pairs
        stencil, rows = pairs.stencil, pairs.rows
        at_nodes = by_sums[pairs.index]
        by_row = (at_nodes * stencil.value.unsqueeze(1)).sum(-1)
        by_s = ((at_nodes * stencil.derivative.unsqueeze(1)).sum(-1) * rows.values).sum(-1)
        by_row[:, 0] += by_s
        return rows.pull_back(by_row)

    @staticmethod
    def backward(ctx: Any, *by_gradient: Tensor) -> tuple[Tensor, None]:
        pairs: PairMap = ctx.pairs
        stencil, rows = pairs.stencil, pairs.rows
        by_row = rows.push_forward(by_gradient[0])
        by_s = by_row[:, :1] * rows.values
        terms = by_row.unsqueeze(-1) * stencil.value.unsqueeze(1)
        terms.addcmul_(by_s.unsqueeze(-1), stencil.derivative.unsqueeze(1))
        return terms.new_zeros(sum(pairs.sizes)).index_add_(0, pairs.index.flatten(), terms.flatten()), None
