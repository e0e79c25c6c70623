"""The environment of an atom: the switching function and the rows (s, s·d/r) of its neighbours."""

from dataclasses import dataclass

import torch
from torch import Tensor


def switch(r: Tensor, rcut_smth: float, rcut: float) -> Tensor:
    """Switch w = u³(−6u² + 15u − 10) + 1, u = (r − rcut_smth)/(rcut − rcut_smth) clipped to [0, 1]; C²."""
    return _switch(_between(r, rcut_smth, rcut))


def _between(r: Tensor, rcut_smth: float, rcut: float) -> Tensor:
    return ((r - rcut_smth) / (rcut - rcut_smth)).clamp(0.0, 1.0)


def _switch(u: Tensor) -> Tensor:
    return u * u * u * ((-6.0 * u + 15.0) * u - 10.0) + 1.0


def length(vector: Tensor) -> Tensor:
    """|d| of vectors (…, 3), with derivative zero instead of NaN at d = 0.

    d = 0 occurs: the virtual atom of an atom with zero moment lies on the atom itself.
    """
    square = (vector * vector).sum(-1)
    zero = square == 0.0
    return square.masked_fill(zero, 1.0).sqrt().masked_fill(zero, 0.0)


def environment_rows(vector: Tensor, rcut_smth: float, rcut: float, protection: float) -> Tensor:
    """w(r)·(1/(r+p), d/(r+p)²) for pair vectors d, (P, 3) Å → (P, 4).

    p = `protection` (Å) keeps the rows finite if a virtual atom comes close to a centre.
    """
    r = length(vector)
    inverse = 1.0 / (r + protection)
    weighted = switch(r, rcut_smth, rcut) * inverse
    return torch.cat((weighted.unsqueeze(-1), vector * (weighted * inverse).unsqueeze(-1)), dim=-1)


@dataclass(frozen=True)
class Rows:
    """Normalised environment rows R~ = (row − davg)/dstd of P pairs, and the factors of their derivatives.

    row = (s, t d) with s = w(r)/(r+p) and t = s/(r+p); ∂s/∂d = s' n, ∂(t d_k)/∂d_l = t δ_kl + t' d_k n_l.

    values: (P, 4); vector, direction: d and n = d/r, (P, 3); t, ds, dt: t, s' and t', (P,); per_std: 1/dstd,
    (P, 4).
    """

    values: Tensor
    vector: Tensor
    direction: Tensor
    t: Tensor
    ds: Tensor
    dt: Tensor
    per_std: Tensor

    def pull_back(self, by_row: Tensor) -> Tensor:
        """Derivatives with respect to d, (P, 3), from derivatives with respect to R~, (P, 4)."""
        by_row = by_row * self.per_std
        radial, angular = by_row[:, 0], by_row[:, 1:]
        along = radial * self.ds + (angular * self.vector).sum(-1) * self.dt
        return along.unsqueeze(-1) * self.direction + self.t.unsqueeze(-1) * angular

    def push_forward(self, by_vector: Tensor) -> Tensor:
        """The transpose of pull_back: changes of R~, (P, 4), from changes of d, (P, 3)."""
        along = (by_vector * self.direction).sum(-1)
        angular = self.t.unsqueeze(-1) * by_vector + (along * self.dt).unsqueeze(-1) * self.vector
        return torch.cat(((along * self.ds).unsqueeze(-1), angular), dim=-1) * self.per_std


def rows_with_derivatives(
    vector: Tensor, rcut_smth: float, rcut: float, protection: float, davg: Tensor, dstd: Tensor
) -> Rows:
    """The rows of pair vectors (P, 3), Å, with the means and deviations (P, 4) of their centres."""
    r = length(vector)
    inverse = 1.0 / (r + protection)
    u = _between(r, rcut_smth, rcut)
    s = _switch(u) * inverse
    t = s * inverse
    switch_slope = -30.0 * (u * (1.0 - u)) ** 2 / (rcut - rcut_smth)
    ds = (switch_slope - s) * inverse
    dt = (ds - t) * inverse
    rows = torch.cat((s.unsqueeze(-1), vector * t.unsqueeze(-1)), dim=-1)
    direction = vector / r.masked_fill(r == 0.0, 1.0).unsqueeze(-1)
    return Rows((rows - davg) / dstd, vector, direction, t, ds, dt, 1.0 / dstd)
