"""Model spin-lattice Hamiltonians: sums of terms over bonds, with exact derivatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spinpot.data.batch import collate
from spinpot.data.dataset import make_frames
from spinpot.data.geometry import Geometry
from spinpot.data.systems import System, select


@dataclass(frozen=True)
class Bonds:
    """The bonds of one frame, from atom i to atom j, in both directions. length: Å; unit: unit vectors."""

    types: Tensor
    spin: Tensor
    i: Tensor
    j: Tensor
    length: Tensor
    unit: Tensor
    cutoff: float

    def of(self, first: Sequence[int], second: Sequence[int]) -> Bonds:
        """The bonds from the elements `first` to the elements `second`."""
        from_first = torch.isin(self.types[self.i], torch.tensor(first))
        return self.chosen(from_first & torch.isin(self.types[self.j], torch.tensor(second)))

    def fading(self, decay: float) -> Tensor:
        """exp(−r/decay), times a factor that goes smoothly to zero at the cutoff."""
        inside = (1.0 - (self.length / self.cutoff) ** 2).clamp(min=0.0)
        return inside**3 * torch.exp(-self.length / decay)

    def chosen(self, which: Tensor) -> Bonds:
        """Some of the bonds, by index or mask."""
        kept = {name: getattr(self, name)[which] for name in ("i", "j", "length", "unit")}
        return replace(self, **kept)


Hamiltonian = Callable[[Bonds], Tensor]
"""The energy of one frame, eV."""


def labelled(made: System, hamiltonian: Hamiltonian, cutoff: float) -> System:
    """The frames labelled with energies, forces, magnetic forces and virials. cutoff: Å."""
    found = [_labels(select(made, np.array([k])), hamiltonian, cutoff) for k in range(len(made))]
    stacked: dict[str, Any] = {name: np.stack([labels[name] for labels in found]) for name in found[0]}
    return replace(made, **stacked)


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
    """Scalar products of vectors (…, 3)."""
    return torch.as_tensor((a * b).sum(-1))


def repulsion(strength: float, decay: float) -> Hamiltonian:
    """Σ strength e^{−r/decay} over all bonds."""
    return lambda bonds: strength * bonds.fading(decay).sum() / 2


def landau(moments: dict[int, float], depth: float) -> Hamiltonian:
    """Σ depth (S²/m² − 1)² over the atoms of the elements in `moments` (m, μ_B)."""

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


def total(*parts: Hamiltonian) -> Hamiltonian:
    """The sum of some Hamiltonians."""
    return lambda bonds: torch.stack([part(bonds) for part in parts]).sum()
