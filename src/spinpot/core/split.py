"""Splits vectors such as magnetic forces into parts perpendicular and parallel to the moment."""

from torch import Tensor


def split_along(vector: Tensor, spin: Tensor) -> tuple[Tensor, Tensor]:
    """Split vectors (…, 3) into vectors perpendicular to the spins (…, 3) and components along them (…, 1).

    If a spin is zero, the whole vector counts as perpendicular.
    """
    direction = spin / spin.norm(dim=-1, keepdim=True).clamp(min=1e-300)
    along = (vector * direction).sum(-1, keepdim=True)
    return vector - along * direction, along
