"""The potential: energy and its derivatives, top to bottom."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from spinpot.data.batch import Batch
from spinpot.model.descriptor import Descriptor
from spinpot.model.networks import FittingNet
from spinpot.model.settings import ModelSpec


class SpinPotential(nn.Module):
    """E(R, S) = Σ_i [net_{t_i}(D_i) + bias_{t_i}] over the real atoms, with all its first derivatives.

    spec: everything that shapes the model.
    seed: of the initial weights.
    """

    energy_bias: Tensor
    virtual_scale: Tensor

    def __init__(self, spec: ModelSpec, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.spec = spec
        self.descriptor = Descriptor(spec, generator)
        fitting = spec.fitting_net
        self.fitting_nets = nn.ModuleList(
            FittingNet(
                self.descriptor.width,
                fitting.neuron,
                fitting.activation_function,
                fitting.resnet_dt,
                generator,
            )
            for _ in spec.type_map
        )
        self.register_buffer("energy_bias", torch.zeros(len(spec.type_map), dtype=torch.float64))
        # η of every neighbour type: none for real atoms, then that of the virtual atoms.
        scale = torch.tensor([*(0.0 for _ in spec.type_map), *spec.virtual_scale], dtype=torch.float64)
        self.register_buffer("virtual_scale", scale)

    def set_precision(self, dtype: torch.dtype) -> SpinPotential:
        """Cast the networks; the energy bias and all sums over atoms stay in float64."""
        self.descriptor.to(dtype)
        self.fitting_nets.to(dtype)
        return self

    def describe(self) -> dict[str, Any]:
        """What shapes it and how many parameters it has, as plain data."""
        return {**self.spec.as_dict(), "parameters": sum(weight.numel() for weight in self.parameters())}

    def forward(self, batch: Batch, differentiable: bool = False) -> dict[str, Tensor]:
        """Energy and derivatives under the names of spinpot.conventions, frames laid one behind the other.

        energy (F,), atom_energy (A,), force (A, 3), force_mag (A, 3), virial (F, 3, 3). With
        `differentiable` the derivatives can themselves be differentiated, as training needs.
        """
        with torch.enable_grad():
            environment, pull_back = self.descriptor.environment(batch, differentiable)
            atom_energy = self.atom_energy(environment, batch)
            (by_environment,) = torch.autograd.grad(
                atom_energy.sum(), environment, create_graph=differentiable
            )
            # With respect to the pair vectors: what everything else is made of.
            gradient = pull_back(by_environment)
        if not differentiable:
            atom_energy = atom_energy.detach()
        energy = atom_energy.new_zeros(batch.n_frames).index_add(0, batch.frame, atom_energy)
        return {"energy": energy, "atom_energy": atom_energy, **self._derivatives(gradient, batch)}

    def atom_energy(self, environment: Tensor, batch: Batch) -> Tensor:
        """T (A, 4, M) → energy of each real atom (A,), eV, float64."""
        descriptor = self.descriptor(environment)
        per_type = descriptor[batch.atom_order].split(batch.type_sizes)
        by_type = torch.cat([net(rows) for net, rows in zip(self.fitting_nets, per_type, strict=True)])
        energy = torch.empty_like(by_type).index_copy(0, batch.atom_order, by_type)
        return energy.double() + self.energy_bias[batch.types]

    def _derivatives(self, gradient: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Scatter ∂E/∂(pair vector) to forces, magnetic forces and virials.

        d = R_j + η_j S_j − R_i, so that −∂E/∂R gets +g at i and −g at j, and −∂E/∂S gets −η_j g at j. Spins
        do not strain: the virial takes the vector between the real atoms, d − η_j S_j.
        """
        scale = self.virtual_scale[batch.pair_type].to(gradient.dtype).unsqueeze(-1)
        zeros = gradient.new_zeros(len(batch.types), 3)
        force = zeros.index_add(0, batch.pair_centre, gradient).index_add(
            0, batch.pair_neighbour, gradient, alpha=-1
        )
        force_mag = zeros.index_add(0, batch.pair_neighbour, scale * gradient, alpha=-1)
        vector, spin = (values.to(gradient.dtype) for values in (batch.pair_vector, batch.spin))
        between_atoms = vector - scale * spin[batch.pair_neighbour]
        per_pair = gradient.unsqueeze(-1) * between_atoms.unsqueeze(-2)
        frame_of_pair = batch.frame[batch.pair_centre]
        virial = gradient.new_zeros(batch.n_frames, 3, 3).index_add(0, frame_of_pair, per_pair, alpha=-1)
        return {"force": force, "force_mag": force_mag, "virial": virial}
