"""A model in another package: a pair potential and pair exchange, with automatic differentiation."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from spinpot.data.geometry import Geometry
from spinpot.models.derivatives import Derivatives
from spinpot.models.exchange.pairs import RadialBasis
from spinpot.models.potential import Potential
from spinpot.models.settings import ModelSettings
from spinpot.models.spec import Spec


@dataclass(frozen=True, kw_only=True)
class ToySpec(Spec):
    """cutoff: Å; n_radial: functions of each pair of elements."""

    kind: ClassVar[str] = "toy"
    cutoff: float
    n_radial: int

    @property
    def geometry(self):
        return Geometry.of_real_atoms(self.cutoff, len(self.type_map))


@dataclass(frozen=True, kw_only=True)
class ToySettings(ModelSettings):
    spec_type = ToySpec
    cutoff: float = 4.5
    n_radial: int = 6

    def spec(self, type_map, use_spin):
        exact = self.spin.time_reversal == "exact"
        own = {"cutoff": self.cutoff, "n_radial": self.n_radial}
        return ToySpec(
            type_map=type_map, use_spin=use_spin, exchange=self.exchange, time_reversal=exact, **own
        )


class Toy(Potential):
    """E = ½ Σ_ij [V(r_ij) − J(r_ij) S_i·S_j]."""

    spec_type = ToySpec

    def __init__(self, spec, seed=0):
        super().__init__(spec, seed)
        shape = (2, len(spec.type_map) ** 2, spec.n_radial)
        random = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        self.coefficients = nn.Parameter(0.01 * random)
        self.register_buffer("magnetic", torch.tensor(spec.use_spin), persistent=False)

    def derivatives(self, batch, differentiable):
        i, j, types = batch.pair_centre, batch.pair_neighbour, batch.types
        with torch.enable_grad():
            vector, spin = (x.detach().double().requires_grad_() for x in (batch.pair_vector, batch.spin))
            moment = spin * self.magnetic[types].unsqueeze(-1)
            radial, _ = RadialBasis(self.spec.cutoff, self.spec.n_radial)(vector.norm(dim=-1))
            kind = types[i] * len(self.spec.type_map) + types[j]
            V, J = (radial * self.coefficients[:, kind]).sum(-1)
            pair_energy = 0.5 * (V - J * (moment[i] * moment[j]).sum(-1))
            energy = pair_energy.new_zeros(len(types)).index_add(0, i, pair_energy)
            by_vector, by_spin = torch.autograd.grad(
                energy.sum(), (vector, spin), create_graph=differentiable
            )
        force = torch.zeros_like(spin).index_add(0, i, by_vector).index_add(0, j, -by_vector)
        strain = by_vector.unsqueeze(-1) * vector.unsqueeze(-2)
        virial = strain.new_zeros(batch.n_frames, 3, 3).index_add(0, batch.pair_frame, -strain)
        return Derivatives(energy, force, -by_spin, virial)

    def begin_at_zero(self):
        nn.init.zeros_(self.coefficients)
