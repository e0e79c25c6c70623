"""Sums over the neighbours of each centre, with torch's operations."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from spinpot.models.native_spin.groups import KINDS, SYMMETRIC

FIRST_FROM_CUTOFF = 0.3
"""Å, distance from the centre of the last radial function to the cutoff."""
PAIRS_AT_ONCE = 1 << 16
"""Pairs in memory at once."""


@dataclass(frozen=True)
class Radial:
    """φ_k(r) = (1 − r²/rc²)³ exp(−(r − c_k)²/2w²); the c_k are equidistant, from `closest` on, spaced by w.

    φ and its first two derivatives vanish at the cutoff rc, Å.
    """

    cutoff: float
    number: int
    closest: float

    @property
    def width(self) -> float:
        """The width w, Å."""
        return (self.cutoff - FIRST_FROM_CUTOFF - self.closest) / (self.number - 1)

    def __call__(self, r: Tensor) -> Tensor:
        """φ_k(r), (P,) → (P, K)."""
        r = r.unsqueeze(-1)
        centres = self.closest + self.width * torch.arange(self.number, dtype=r.dtype, device=r.device)
        inside = (1.0 - (r / self.cutoff).square()).clamp(min=0.0)
        return inside**3 * torch.exp(-0.5 * ((r - centres) / self.width).square())


def rows(kinds: Sequence[str], direction: Tensor, spin: Tensor) -> Tensor:
    """ρ of all kinds, concatenated, for directions û and moments (P, 3) of the neighbours: (P, C)."""
    u, S = direction.unbind(-1), spin.unbind(-1)
    shape = [u[a] * u[b] - (1.0 / 3.0 if a == b else 0.0) for a, b in SYMMETRIC]
    along = (direction * spin).sum(-1)
    made = {
        "density": [torch.ones_like(along)],
        "direction": list(u),
        "shape": shape,
        "moment": list(S),
        "moment_square": [S[a] * S[b] for a, b in SYMMETRIC],
        "direction_moment": [a * b for a in u for b in S],
        "shape_moment": [a * b for a in shape for b in S],
        "pseudo_dipole": [along * a - b / 3.0 for a, b in zip(u, S, strict=True)],
    }
    return torch.stack([column for kind in kinds for column in made[kind]], dim=-1)


def neighbour_sums(
    radial: Radial,
    kinds: Sequence[str],
    pairs: tuple[Tensor, Tensor],
    shape: tuple[int, int],
    vector: Tensor,
    spin: Tensor,
) -> Tensor:
    """Σ_j φ_k(r_ij) ρ_c over the neighbours j of each element, (A, T K, C).

    pairs: centres (P,) and neighbours' elements (P,); shape: A and T; vector: (P, 3), Å, to the neighbour;
    spin: (P, 3), μ_B, the neighbour's moment.
    """
    atoms, elements = shape
    slots = pairs[0] * elements + pairs[1]
    sums = vector.new_zeros(atoms * elements, radial.number, sum(KINDS[kind].size for kind in kinds))
    for part, d, S in zip(*(given.split(PAIRS_AT_ONCE) for given in (slots, vector, spin)), strict=True):
        distance = d.norm(dim=-1)
        rho = rows(kinds, d / distance.unsqueeze(-1), S)
        sums.index_add_(0, part, radial(distance).unsqueeze(-1) * rho.unsqueeze(-2))
    return sums.view(atoms, elements * radial.number, sums.shape[-1])


def columns(kinds: Sequence[str]) -> dict[str, slice]:
    """{kind: its columns in `rows`}."""
    found, begin = {}, 0
    for kind in kinds:
        found[kind] = slice(begin, begin + KINDS[kind].size)
        begin += KINDS[kind].size
    return found
