"""Collocation: evaluates the embedding nets, functions of one number, at nodes and interpolates.

G(s~) = Σ_m φ_m(s~) G(node_m) with piecewise polynomials φ, so that a sum over neighbours becomes

    T_i = Σ_j G(s~_ij) ⊗ R~_ij = Σ_m G(node_m) ⊗ B_im,    B_im = Σ_j φ_m(s~_ij) R~_ij.

B depends only on the structure. Therefore no net is evaluated per pair, neither for energies and forces nor
for their derivatives with respect to the weights. The forces are the exact gradient of the interpolated
energy.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product
from typing import Self

import numpy as np
import torch
from torch import Tensor

STENCIL = 8  # nodes per interpolated value: polynomials of degree 7
SCALE = 2.0
"""Range of s~ within which nodes are about equally dense; beyond it their spacing grows with s~.

The nets vary on the scale of 1 around s~ = 0, where most neighbours are, and less with the distance from 0.
"""
CHUNK = 28  # nodes of a net that are evaluated in one product with as many of every other net
BEYOND = STENCIL // 2  # nodes beyond the last value, so that its stencil is centred as well
NUMBERS = tuple(CHUNK * chunks - BEYOND for chunks in (1, 2, 3, 4, 6, 9, 14, 21, 32, 48))
"""Numbers of nodes that are tried; each step of a factor 1.5 divides the error by about 20."""
USUAL_NODES = NUMBERS[2]  # used until the error has been measured
ROUNDING = 1e-3  # tolerance when counting nodes, so that float32 gives the same number
USUAL_CLOSEST = 0.5  # Å, assumed distance of the closest neighbour of an element without data


@dataclass
class Nodes:
    """Number and range of the nodes: part of a checkpoint, but not trained.

    closest: Å, for each centre element the distance of the closest neighbour in the training data; the nodes
        cover the s of all larger distances.
    numbers: nodes from s = 0 to there, for each centre element and neighbour type.
    """

    closest: list[float]
    numbers: list[list[int]]

    @classmethod
    def equally_many(cls, closest: list[float], number: int = USUAL_NODES) -> Self:
        """Nodes with the same number for all pairs of types."""
        return cls(closest, [[number] * (2 * len(closest)) for _ in closest])

    def end_before(self, closest: list[float]) -> bool:
        """Whether some neighbours (closest: Å) are closer than the nodes cover."""
        return any(here < known for here, known in zip(closest, self.closest, strict=True))


@dataclass(frozen=True)
class Stencil:
    """Interpolation of P values: first node (P,) of each stencil, φ and dφ/ds~ (P, STENCIL)."""

    first: Tensor
    value: Tensor
    derivative: Tensor


@dataclass(frozen=True)
class Chunks:
    """C chunks of CHUNK nodes: their types centre, neighbour (C,) and their points (C, CHUNK, 1).

    first: (T, 2T), index of the first chunk of each pair of types; 0 for centres that do not occur.
    """

    centre: Tensor
    neighbour: Tensor
    points: Tensor
    first: Tensor


@dataclass(frozen=True)
class Grid:
    """Nodes low + SCALE·(exp(m·step) − 1), m = 0 … CHUNK·n_chunks − 1, for each pair of types.

    A pair of types is a centre element and a neighbour type. low: (T,); step, n_chunks: (T, 2T). centres,
    used: the centre elements and the neighbour types that occur. The columns of B are the nodes of the used
    neighbour types, type after type.
    """

    low: Tensor
    step: Tensor
    n_chunks: Tensor
    centres: list[int]
    used: list[int]

    @cached_property
    def polynomials(self) -> Tensor:
        """(STENCIL, STENCIL), coefficients of lagrange_polynomials."""
        return lagrange_polynomials(STENCIL).to(self.low)

    @cached_property
    def slopes(self) -> Tensor:
        """(STENCIL - 1, STENCIL), coefficients of the polynomials' derivatives."""
        return self._powers[1:].unsqueeze(1) * self.polynomials[1:]

    @cached_property
    def _powers(self) -> Tensor:
        return torch.arange(STENCIL, device=self.low.device, dtype=self.low.dtype)

    @cached_property
    def n_nodes(self) -> Tensor:
        """(T, 2T), number of nodes."""
        return CHUNK * self.n_chunks

    @cached_property
    def widths(self) -> list[int]:
        """Number of columns of B for each centre element; 0 for one that does not occur."""
        widths = torch.zeros_like(self.n_chunks[:, 0])
        widths[self.centres] = self.n_nodes[self.centres][:, self.used].sum(1)
        return list(widths.tolist())

    @cached_property
    def column(self) -> Tensor:
        """(T, 2T), first column in B of each pair of types; meaningless for types that do not occur."""
        own = self.n_nodes[:, self.used]
        column = torch.zeros_like(self.n_chunks)
        column[:, self.used] = own.cumsum(1) - own
        return column

    @cached_property
    def chunks(self) -> Chunks:
        """The chunks in the order of B's columns, by centre element.

        Neighbour types without columns come last, with one chunk each, of which only the first node is used.
        """
        others = [j for j in range(self.n_chunks.shape[1]) if j not in self.used]
        pairs = [*product(self.centres, self.used), *product(self.centres, others)]
        centres, neighbours = torch.tensor(pairs, device=self.low.device).unbind(1)
        counts = self.n_chunks[centres, neighbours]
        counts[len(self.centres) * len(self.used) :] = 1
        first = torch.zeros_like(self.n_chunks)
        first[centres, neighbours] = counts.cumsum(0) - counts
        centre, neighbour = (types.repeat_interleave(counts) for types in (centres, neighbours))
        start = torch.arange(len(centre), device=centre.device) - first[centre, neighbour]
        places = CHUNK * start.unsqueeze(1) + torch.arange(CHUNK, device=centre.device)
        return Chunks(centre, neighbour, self.at(centre, neighbour, places).unsqueeze(-1), first)

    def at(self, centre: Tensor, neighbour: Tensor, places: Tensor) -> Tensor:
        """s~ (K, n) at fractional node indices `places` (K, n), for K pairs of types."""
        step = self.step[centre, neighbour].unsqueeze(1)
        return self.low[centre].unsqueeze(1) + SCALE * torch.expm1(step * places)

    def locate(self, s: Tensor, centre_type: Tensor, neighbour_type: Tensor) -> Stencil:
        """The stencils of s~ values (P,) of pairs of the given types (P,)."""
        shifted, step = s - self.low[centre_type], self.step[centre_type, neighbour_type]
        last = self.n_nodes[centre_type, neighbour_type] - STENCIL
        place = torch.log1p(shifted / SCALE) / step
        first = (place.floor().long() - (STENCIL // 2 - 1)).clamp(min=0).minimum(last)
        # Relative to the middle of the stencil, so that powers stay small.
        x = place - first - (STENCIL - 1) / 2
        powers = x.unsqueeze(-1).pow(self._powers)
        per_s = 1.0 / ((shifted + SCALE) * step)
        return Stencil(first, powers @ self.polynomials, (powers[:, :-1] @ self.slopes) * per_s.unsqueeze(-1))


def lagrange_polynomials(points: int) -> Tensor:
    """Coefficients [power, m] of the polynomials that are 1 at point m and 0 at the other points.

    The points have the spacing 1 and are centred on 0.
    """
    return torch.tensor(_coefficients(points))


@cache
def _coefficients(points: int) -> np.ndarray:
    x = np.arange(points) - (points - 1) / 2
    columns = []
    for m in range(points):
        others = np.delete(x, m)
        columns.append(np.poly(others)[::-1] / np.prod(x[m] - others))
    return np.stack(columns, axis=1)
