"""Model Hamiltonians of spins on atoms that move, with exact derivatives, on random structures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from spinpot.data.batch import collate
from spinpot.data.dataset import make_frames
from spinpot.data.geometry import Geometry
from spinpot.data.systems import System, select
from support.frames import system


@dataclass(frozen=True)
class Bonds:
    """The bonds of one frame, each from both ends: from atom i to j, along `unit`, `length` Å apart."""

    types: Tensor
    spin: Tensor
    i: Tensor
    j: Tensor
    length: Tensor
    unit: Tensor
    cutoff: float

    def of(self, first: Sequence[int], second: Sequence[int]) -> Bonds:
        """Those from some elements to others."""
        from_first = torch.isin(self.types[self.i], torch.tensor(first))
        chosen = from_first & torch.isin(self.types[self.j], torch.tensor(second))
        kept = {name: getattr(self, name)[chosen] for name in ("i", "j", "length", "unit")}
        return replace(self, **kept)

    def fading(self, decay: float) -> Tensor:
        """exp(−r/decay), made to end at the cutoff."""
        inside = (1.0 - (self.length / self.cutoff) ** 2).clamp(min=0.0)
        return inside**3 * torch.exp(-self.length / decay)

    def twice(self) -> tuple[Bonds, Bonds]:
        """All pairs of different bonds of an atom i."""
        one, other = torch.nonzero(self.i[:, None] == self.i[None, :], as_tuple=True)
        apart = one != other
        return tuple(
            replace(self, **{name: getattr(self, name)[k[apart]] for name in ("i", "j", "length", "unit")})
            for k in (one, other)
        )


Hamiltonian = Callable[[Bonds], Tensor]
"""The energy of one frame, eV."""


def labelled(made: System, hamiltonian: Hamiltonian, cutoff: float) -> System:
    """The frames with energies, and with their derivatives by positions, moments and strain."""
    found = [_labels(select(made, np.array([k])), hamiltonian, cutoff) for k in range(len(made))]
    return replace(made, **{name: np.stack([labels[name] for labels in found]) for name in found[0]})


def _labels(frame: System, hamiltonian: Hamiltonian, cutoff: float) -> dict[str, np.ndarray]:
    batch = collate(list(make_frames([frame])), Geometry.of_real_atoms(cutoff, len(frame.type_map)))
    i, j = batch.pair_centre, batch.pair_neighbour
    coord = torch.tensor(frame.coord[0], requires_grad=True)
    spin = torch.tensor(frame.spin[0], requires_grad=True)
    strain = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    images = batch.pair_vector - (coord[j] - coord[i]).detach()
    vector = (coord[j] - coord[i] + images) @ (torch.eye(3) + strain).T
    length = vector.norm(dim=-1)
    energy = hamiltonian(Bonds(batch.types, spin, i, j, length, vector / length[:, None], cutoff))
    slopes = torch.autograd.grad(energy, (coord, spin, strain), materialize_grads=True)
    force, force_mag, virial = (-slope.numpy() for slope in slopes)
    return {"energy": energy.detach().numpy(), "force": force, "force_mag": force_mag, "virial": virial}


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Of vectors, (…, 3)."""
    return (a * b).sum(-1)


def repulsion(strength: float, decay: float) -> Hamiltonian:
    """Σ strength e^{−r/decay} over all bonds."""
    return lambda bonds: strength * bonds.fading(decay).sum() / 2


def landau(moments: dict[int, float], depth: float) -> Hamiltonian:
    """Σ depth (S²/m² − 1)² of the elements that have a moment m, μ_B."""

    def energy(bonds: Bonds) -> Tensor:
        parts = [
            (dot(spin, spin) / moment**2 - 1.0) ** 2
            for element, moment in moments.items()
            for spin in [bonds.spin[bonds.types == element]]
        ]
        return depth * torch.cat(parts).sum()

    return energy


def exchange(first: Sequence[int], second: Sequence[int], strength: float, decay: float) -> Hamiltonian:
    """−Σ J(r) S_i·S_j over the bonds from the first to the second elements."""

    def energy(bonds: Bonds) -> Tensor:
        own = bonds.of(first, second)
        return -strength * (own.fading(decay) * dot(own.spin[own.i], own.spin[own.j])).sum()

    return energy


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


def ligand_dm(magnetic: Sequence[int], ligands: Sequence[int], strength: float) -> Hamiltonian:
    """Σ D_jk·(S_j × S_k), D_jk ∝ r_lj × r_lk of a ligand l beside the bond (Moriya, Keffer)."""

    def energy(bonds: Bonds) -> Tensor:
        one, other = bonds.of(ligands, magnetic).twice()
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


def total(*parts: Hamiltonian) -> Hamiltonian:
    """Their sum."""
    return lambda bonds: torch.stack([part(bonds) for part in parts]).sum()


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
