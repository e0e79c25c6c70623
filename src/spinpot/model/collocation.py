"""The embedding nets as functions of one number: evaluated at nodes, interpolated between them.

G(s~) = Σ_m φ_m(s~) G(node_m) with piecewise polynomials φ, so that a sum over neighbours becomes

    T_i = Σ_j G(s~_ij) ⊗ R~_ij = Σ_m G(node_m) ⊗ B_im,    B_im = Σ_j φ_m(s~_ij) R~_ij.

B depends on the structure alone. So neither the energy, nor the forces, nor their derivatives by the weights
evaluate a net for each pair; the forces are the exact gradient of the interpolated energy.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, repeat
from typing import Any

import numpy as np
import torch
from torch import Tensor

STENCIL = 8
"""Nodes that a value is interpolated from: polynomials of degree 7."""
SCALE = 2.0
"""Width, in s~, within which nodes are about equally dense; beyond it their distance grows with s~.

The nets vary on the scale of 1 around s~ = 0, where most neighbours are, and less and less far from it.
"""
FEWEST_NODES = 24
USUAL_NODES = 64
"""Where none have looked at the error yet."""
NUMBERS = tuple(
    accumulate(repeat(1.5, 10), lambda number, factor: int(factor * number), initial=FEWEST_NODES)
)
"""Of nodes, as many as are tried: the next divides the error by about 20."""
ROUNDING = 1e-3
"""Of a number of nodes, so that float32 gives the same."""
USUAL_CLOSEST = 0.5
"""Å, the closest neighbour of an element that no data have shown."""


@dataclass
class Nodes:
    """How many nodes there are and how far they reach: part of a checkpoint, but nothing that is trained.

    closest: Å, for each centre element the distance of the closest neighbour in the training data; nodes
        cover the s of all that is farther.
    number: from s = 0 to there.
    """

    closest: list[float]
    number: int = USUAL_NODES

    @classmethod
    def unseen(cls, n_types: int) -> Nodes:
        """Those of a potential that has seen no data."""
        return cls([USUAL_CLOSEST] * n_types)

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, for checkpoints."""
        return {"closest": list(self.closest), "number": self.number}


def more_nodes(number: int) -> int | None:
    """The next of NUMBERS, None after the last."""
    place = bisect_right(NUMBERS, number)
    return NUMBERS[place] if place < len(NUMBERS) else None


def fewer_nodes(number: int) -> int | None:
    """The one of NUMBERS before, None before the first."""
    place = bisect_left(NUMBERS, number)
    return NUMBERS[place - 1] if place else None


def make_grid(
    nodes: Nodes, closest: Sequence[float], s_of: Any, davg: Tensor, dstd: Tensor, polynomials: Tensor
) -> Grid:
    """The grid for centre elements with means and deviations davg, dstd (T,) of s.

    closest: of the structures at hand, Å. Where neighbours are closer than in the training more nodes follow,
    and those before stay where they are: a pair's share does not depend on the other pairs.
    s_of: distances (T,), Å → s, 1/Å.
    """
    low = -davg / dstd
    reach = s_of(davg.new_tensor(nodes.closest)) / dstd
    step = torch.log1p(reach / SCALE) / (nodes.number - 1)
    last = nodes.number - 1
    if any(here < known for here, known in zip(closest, nodes.closest, strict=True)):
        here = s_of(davg.new_tensor(closest)) / dstd
        last = max(last, int((torch.log1p(here / SCALE) / step - ROUNDING).max().ceil()))
    # Beyond the last value there is half a stencil, so that it has as many nodes on either side.
    return Grid(low, step, last + 1 + STENCIL // 2, polynomials)


@dataclass(frozen=True)
class Stencil:
    """Where P values lie between the nodes: first node (P,) of their stencil, φ and dφ/ds~ (P, STENCIL)."""

    first: Tensor
    value: Tensor
    derivative: Tensor


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
