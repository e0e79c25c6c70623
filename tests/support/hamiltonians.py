"""More terms of model Hamiltonians, including spin–orbit coupling, and random structures for them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from spinpot.data.hamiltonian import Bonds, Hamiltonian, dot
from spinpot.data.systems import System
from support.frames import system


def single_ion(magnetic: Sequence[int], ligands: Sequence[int], strength: float) -> Hamiltonian:
    """Σ K(r) [(S_i·û)² − S_i²/3]: each ligand makes an axis easy or hard."""

    def energy(bonds: Bonds) -> Tensor:
        own = bonds.of(magnetic, ligands)
        spin = own.spin[own.i]
        return strength * (own.fading(1.1) * (dot(spin, own.unit) ** 2 - dot(spin, spin) / 3)).sum()

    return energy


def anisotropic_exchange(magnetic: Sequence[int], strength: float) -> Hamiltonian:
    """Σ A(r) [(S_i·û)(S_j·û) − S_i·S_j/3], as of dipoles."""

    def energy(bonds: Bonds) -> Tensor:
        own = bonds.of(magnetic, magnetic)
        a, b = own.spin[own.i], own.spin[own.j]
        return strength * (own.fading(1.3) * (dot(a, own.unit) * dot(b, own.unit) - dot(a, b) / 3)).sum()

    return energy


def _pairs_of(bonds: Bonds) -> tuple[Bonds, Bonds]:
    """All pairs of different bonds that share their atom i."""
    one, other = torch.nonzero(bonds.i[:, None] == bonds.i[None, :], as_tuple=True)
    apart = one != other
    return bonds.chosen(one[apart]), bonds.chosen(other[apart])


def ligand_dm(magnetic: Sequence[int], ligands: Sequence[int], strength: float) -> Hamiltonian:
    """Σ D_jk·(S_j × S_k), D_jk ∝ r_lj × r_lk of a ligand l beside the bond (Moriya, Keffer)."""

    def energy(bonds: Bonds) -> Tensor:
        one, other = _pairs_of(bonds.of(ligands, magnetic))
        D = torch.linalg.cross(one.unit, other.unit) * (one.fading(1.1) * other.fading(1.1))[:, None]
        return strength * dot(D, torch.linalg.cross(one.spin[one.j], other.spin[other.j])).sum()

    return energy


def environment_dm(magnetic: Sequence[int], strength: float) -> Hamiltonian:
    """Σ D_ij·(S_i × S_j), D_ij = r_ij × Σ_l h(r_il) r_il over all neighbours l of the atom i (Rashba)."""

    def energy(bonds: Bonds) -> Tensor:
        polar = torch.zeros_like(bonds.spin).index_add(0, bonds.i, bonds.fading(1.3)[:, None] * bonds.unit)
        own = bonds.of(magnetic, magnetic)
        D = torch.linalg.cross(own.unit, polar[own.i]) * own.fading(1.3)[:, None]
        return strength * dot(D, torch.linalg.cross(own.spin[own.i], own.spin[own.j])).sum()

    return energy


def amorphous(
    seed: int, n_frames: int, elements: dict[str, int], moments: dict[str, float], edge: float
) -> System:
    """Atoms anywhere in a skewed cell, no two closer than 1.9 Å.

    elements: how many atoms of each. moments: μ_B; directions are random, lengths differ by a tenth.
    """
    rng = np.random.default_rng(seed)
    types = np.repeat(np.arange(len(elements)), list(elements.values()))
    mean = np.array([moments.get(name, 0.0) for name in elements])[types]
    box = np.array([[edge, 0.3, 0.0], [0.4, edge, -0.2], [-0.3, 0.5, edge]])
    coord = np.stack([_placed(rng, box, len(types)) for _ in range(n_frames)])
    spin = rng.normal(size=coord.shape)
    length = mean * rng.normal(1.0, 0.1, size=(n_frames, len(types)))
    spin *= (length / np.linalg.norm(spin, axis=-1))[..., None]
    name = f"amorphous{seed}"
    return system(tuple(elements), types, np.tile(box, (n_frames, 1, 1)), coord, spin, name=name)


def _placed(rng: np.random.Generator, box: np.ndarray, count: int) -> np.ndarray:
    images = np.array(np.meshgrid(*[(-1, 0, 1)] * 3)).reshape(3, -1).T @ box
    placed = np.empty((0, 3))
    while len(placed) < count:
        new = rng.uniform(size=3) @ box
        away = np.linalg.norm(placed[:, None] - new + images, axis=-1)
        if not (away < 1.9).any():
            placed = np.vstack([placed, new])
    return placed
