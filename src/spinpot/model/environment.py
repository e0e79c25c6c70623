"""The environment of an atom: the switch and the rows (s, s·d/r) of its neighbours."""

from __future__ import annotations

import torch
from torch import Tensor


def switch(r: Tensor, rcut_smth: float, rcut: float) -> Tensor:
    """Switch w = u³(−6u² + 15u − 10) + 1, u = (r − rcut_smth)/(rcut − rcut_smth) clipped to [0, 1]; C²."""
    u = ((r - rcut_smth) / (rcut - rcut_smth)).clamp(0.0, 1.0)
    return u * u * u * ((-6.0 * u + 15.0) * u - 10.0) + 1.0


def length(vector: Tensor) -> Tensor:
    """|d| of (…, 3) vectors, with derivative zero instead of NaN where d = 0.

    d = 0 happens: the virtual atom of an atom whose moment is zero sits on the atom itself.
    """
    square = (vector * vector).sum(-1)
    zero = square == 0.0
    return torch.where(zero, 0.0, torch.where(zero, 1.0, square).sqrt())


def environment_rows(vector: Tensor, rcut_smth: float, rcut: float, protection: float) -> Tensor:
    """w(r)·(1/(r+p), d/(r+p)²) for pair vectors d, (P, 3) Å → (P, 4).

    p = `protection` (Å) keeps the rows finite where a virtual atom comes close to a centre.
    """
    r = length(vector)
    inverse = 1.0 / (r + protection)
    weighted = switch(r, rcut_smth, rcut) * inverse
    return torch.cat((weighted.unsqueeze(-1), vector * (weighted * inverse).unsqueeze(-1)), dim=-1)
