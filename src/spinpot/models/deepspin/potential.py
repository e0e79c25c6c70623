"""The potential: energy and its derivatives, top to bottom."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from spinpot import native
from spinpot.data.batch import Batch
from spinpot.models.deepspin.compiled import compiled_network
from spinpot.models.deepspin.descriptor import Descriptor
from spinpot.models.deepspin.fitting import FittingNet, energy_and_gradient
from spinpot.models.deepspin.settings import ExchangeSettings, ModelSpec
from spinpot.models.derivatives import Derivatives, total
from spinpot.models.exchange.term import ExchangeTerm
from spinpot.models.time_reversal import mean_of_both, with_reversed
from spinpot.models.training_facts import TrainingFacts


class SpinPotential(nn.Module):
    """E(R, S) = Σ_i [net_{t_i}(D_i) + bias_{t_i}] + E_spin over the real atoms, and all first derivatives.

    spec: everything that shapes the model.
    seed: of the initial weights.
    facts: what its training frames covered; None where that is not known (an older checkpoint, a model of
        deepmd-kit).
    """

    energy_bias: Tensor
    virtual_scale: Tensor
    facts: TrainingFacts | None = None

    def __init__(self, spec: ModelSpec, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.spec = spec
        self.descriptor = Descriptor(spec, generator)
        fitting = spec.fitting_net
        settings = (
            self.descriptor.width,
            fitting.neuron,
            fitting.activation_function,
            fitting.resnet_dt,
            generator,
        )
        self.fitting_nets = FittingNet.side_by_side([FittingNet.random(*settings) for _ in spec.type_map])
        self.exchange = ExchangeTerm(spec) if spec.exchange.terms else None
        self.register_buffer("energy_bias", torch.zeros(len(spec.type_map), dtype=torch.float64))
        # η of every neighbour type: none for real atoms, then that of the virtual atoms.
        scale = torch.tensor([*(0.0 for _ in spec.type_map), *spec.virtual_scale], dtype=torch.float64)
        self.register_buffer("virtual_scale", scale)

    def set_precision(self, dtype: torch.dtype) -> SpinPotential:
        """Cast the networks; the energy bias and all sums over atoms stay in float64."""
        self.descriptor.to(dtype)
        self.fitting_nets.to(dtype)
        return self

    def drop_exchange(self) -> None:
        """Leave only the network, another potential."""
        self.spec, self.exchange = replace(self.spec, exchange=ExchangeSettings()), None

    def describe(self) -> dict[str, Any]:
        """What shapes it and how many parameters it has, as plain data."""
        return {**self.spec.as_dict(), "parameters": sum(weight.numel() for weight in self.parameters())}

    def forward(self, batch: Batch, differentiable: bool = False) -> dict[str, Tensor]:
        """Energy and derivatives under the names of core.conventions, frames laid one behind the other.

        energy (F,), atom_energy (A,), force (A, 3), force_mag (A, 3), virial (F, 3, 3). With
        `differentiable` the derivatives can themselves be differentiated, as training needs.
        """
        with torch.set_grad_enabled(differentiable):
            if self.spec.time_reversal:
                found = mean_of_both(self._network(with_reversed(batch, self.virtual_scale), differentiable))
            else:
                found = self._network(batch, differentiable)
            if self.exchange is not None:
                found = total([found, self.exchange(batch)])
            atom_energy = found.atom_energy + self.energy_bias[batch.types]
            energy = atom_energy.new_zeros(batch.n_frames).index_add(0, batch.frame, atom_energy)
        return {
            "energy": energy,
            "atom_energy": atom_energy,
            "force": found.force,
            "force_mag": found.force_mag,
            "virial": found.virial,
        }

    def _network(self, batch: Batch, differentiable: bool) -> Derivatives:
        """Descriptor and fitting nets, without the energy bias."""
        compiled = native.network(self.descriptor.davg) if self.descriptor.radial == "collocated" else None
        if compiled is not None:
            return compiled_network(compiled, self.descriptor, self.fitting_nets, batch, self.virtual_scale)
        environment, derivatives = self.descriptor.environment(batch, self.virtual_scale, differentiable)
        atom_energy, by_descriptor = energy_and_gradient(
            self.fitting_nets, self.descriptor(environment), batch.type_sizes
        )
        by_environment = self.descriptor.pull_back(environment, by_descriptor)
        return Derivatives(atom_energy[batch.atom_place].double(), *derivatives(by_environment))
