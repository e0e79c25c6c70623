"""Magnetic forces and the like in their parts along a moment and across it."""

from torch import Tensor


def split_along(vector: Tensor, spin: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors (…, 3) as their parts across the spins (…, 3) and along them (…, 1).

    The first are vectors, the second numbers; where a spin is zero, all of the vector is across.
    """
    direction = spin / spin.norm(dim=-1, keepdim=True).clamp(min=1e-300)
    along = (vector * direction).sum(-1, keepdim=True)
    return vector - along * direction, along
