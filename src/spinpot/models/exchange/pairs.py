"""Pair energies of atoms with moments (both atoms, or only the first), and their derivatives.

All are sums of coefficients times functions of the structure. The derivatives with respect to positions and
moments are written out here; automatic differentiation is used only for the coefficients.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from spinpot.data.batch import Batch
from spinpot.models.derivatives import Derivatives


@dataclass(frozen=True)
class RadialBasis:
    """φ_k(r) = (1 − r²/rcut²)³ exp(−(r − c_k)²/2w²), with K centres c_k spaced by w; rcut in Å.

    φ and its first two derivatives vanish at rcut.
    """

    rcut: float
    number: int

    def __call__(self, r: Tensor) -> tuple[Tensor, Tensor]:
        """φ and dφ/dr, (P,) → (P, K) each."""
        width = self.rcut / (self.number + 0.5)
        centres = width * torch.arange(1, self.number + 1, dtype=r.dtype, device=r.device)
        r = r.unsqueeze(-1)
        inside = 1.0 - (r / self.rcut).square()
        away = (r - centres) / width
        bell = torch.exp(-0.5 * away.square())
        value = inside**3 * bell
        slope = -inside.square() * bell * (6.0 * r / self.rcut**2 + inside * away / width)
        return value, slope


class SpinPairs:
    """Some pairs of a batch, each listed from both ends, and the quantities that the terms need.

    chosen: (P',) indices of the pairs, or a slice of all. counted: (P',) bools, whether a pair contributes;
    the others are placed at rcut, where all functions vanish; None: all contribute. centre, neighbour: (P',)
    atoms; r: (P',), Å; direction: (P', 3) from the centre to the neighbour; basis, slope: (P', K), φ_k(r) and
    dφ_k/dr.
    """

    def __init__(
        self, batch: Batch, chosen: Tensor | slice, basis: RadialBasis, counted: Tensor | None = None
    ) -> None:
        self.batch, self.chosen = batch, chosen
        self.centre, self.neighbour = batch.pair_centre[chosen], batch.pair_neighbour[chosen]
        self.vector = batch.pair_vector[chosen].double()
        self.r = self.vector.norm(dim=-1)
        if counted is not None:
            self.r = self.r.masked_fill(~counted, basis.rcut)
        self.direction = self.vector / self.r.unsqueeze(-1)
        self.basis, self.slope = basis(self.r)
        spin = batch.spin.double()
        self.spin_centre, self.spin_neighbour = spin[self.centre], spin[self.neighbour]

    @cached_property
    def dot(self) -> Tensor:
        """S_i·S_j, (P',)."""
        return (self.spin_centre * self.spin_neighbour).sum(-1)

    @cached_property
    def along(self) -> tuple[Tensor, Tensor]:
        """S_i·u and S_j·u, (P',) each; u: the direction of the pair."""
        return (self.spin_centre * self.direction).sum(-1), (self.spin_neighbour * self.direction).sum(-1)

    def radial(self, coefficients: Tensor, kind: Tensor) -> tuple[Tensor, Tensor]:
        """f(r) = Σ_k c_k φ_k(r) and df/dr, (P',) each; kind: (P',), the row of coefficients (kinds, K)."""
        if len(coefficients) == 1:
            return self.basis @ coefficients[0], self.slope @ coefficients[0]
        own = coefficients[kind]
        return (self.basis * own).sum(-1), (self.slope * own).sum(-1)

    def add_up(
        self, energy: Tensor, by_vector: Tensor, by_centre: Tensor | None, by_neighbour: Tensor
    ) -> Derivatives:
        """Sum energies (P',) and derivatives with respect to d, S_i and S_j, (P', 3) each, over the pairs."""
        batch = self.batch
        zeros = batch.spin.new_zeros(len(batch.types), 3, dtype=torch.float64)
        force = zeros.index_add(0, self.centre, by_vector).index_add(0, self.neighbour, -by_vector)
        force_mag = zeros.index_add(0, self.neighbour, -by_neighbour)
        if by_centre is not None:
            force_mag = force_mag.index_add(0, self.centre, -by_centre)
        strain = by_vector.unsqueeze(-1) * self.vector.unsqueeze(-2)
        no_strain = zeros.new_zeros(batch.n_frames, 3, 3)
        virial = no_strain.index_add(0, batch.frame[self.centre], -strain)
        return Derivatives(zeros[:, 0].index_add(0, self.centre, energy), force, force_mag, virial)


def isotropic(pairs: SpinPairs, kind: Tensor, bilinear: Tensor, biquadratic: Tensor | None) -> Derivatives:
    """−½ Σ [J(r) S_i·S_j + B(r) (S_i·S_j)²], both ends of a pair counted; coefficients (kinds, K)."""
    dot = pairs.dot
    J, slope = pairs.radial(bilinear, kind)
    energy, by_r, by_dot = J * dot, slope * dot, J
    if biquadratic is not None:
        B, slope = pairs.radial(biquadratic, kind)
        energy = energy + B * dot.square()
        by_r = by_r + slope * dot.square()
        by_dot = by_dot + 2.0 * B * dot
    by_dot = -0.5 * by_dot.unsqueeze(-1)
    by_vector = -0.5 * by_r.unsqueeze(-1) * pairs.direction
    # Each pair is listed from both ends, and each end adds the neighbour's derivative: the factor ½ cancels.
    return pairs.add_up(-0.5 * energy, by_vector, None, 2.0 * by_dot * pairs.spin_centre)


def anisotropic(pairs: SpinPairs, kind: Tensor, coefficients: Tensor) -> Derivatives:
    """−½ Σ A(r) [(S_i·u)(S_j·u) − S_i·S_j/3], both ends of a pair counted; coefficients (kinds, K)."""
    A, slope = pairs.radial(coefficients, kind)
    y_i, y_j = pairs.along
    u = pairs.direction
    bracket = y_i * y_j - pairs.dot / 3.0
    half = -0.5 * A.unsqueeze(-1)
    y_i, y_j = y_i.unsqueeze(-1), y_j.unsqueeze(-1)
    by_u = y_j * pairs.spin_centre + y_i * pairs.spin_neighbour - 2.0 * y_i * y_j * u
    by_vector = -0.5 * (slope * bracket).unsqueeze(-1) * u + half * by_u / pairs.r.unsqueeze(-1)
    by_neighbour = half * (y_i * u - pairs.spin_centre / 3.0)
    return pairs.add_up(-0.5 * A * bracket, by_vector, None, 2.0 * by_neighbour)


def single_ion(pairs: SpinPairs, kind: Tensor, coefficients: Tensor) -> Derivatives:
    """Σ D(r) [(S_i·u)² − S_i²/3] over the neighbours of any element; coefficients (kinds, K)."""
    D, slope = pairs.radial(coefficients, kind)
    S, u = pairs.spin_centre, pairs.direction
    y = pairs.along[0]
    bracket = y.square() - S.square().sum(-1) / 3.0
    y = y.unsqueeze(-1)
    twice = 2.0 * D.unsqueeze(-1)
    by_vector = (slope * bracket).unsqueeze(-1) * u + twice * y * (S - y * u) / pairs.r.unsqueeze(-1)
    by_centre = twice * (y * u - S / 3.0)
    return pairs.add_up(D * bracket, by_vector, by_centre, torch.zeros_like(S))
