"""Adds the exchange term to any model."""

from dataclasses import replace
from typing import Self

import torch
from torch import Tensor, nn

from spinpot.data.batch import Batch
from spinpot.models.derivatives import Derivatives, total
from spinpot.models.exchange.compiled import OF_TERM
from spinpot.models.exchange.fit import fit_systems
from spinpot.models.exchange.settings import ExchangeSettings
from spinpot.models.exchange.term import ExchangeTerm
from spinpot.models.potential import InferencePart, Part, Potential
from spinpot.models.start import TrainingLabels
from spinpot.models.wrapper import Wrapper


class WithExchange(Wrapper):
    """E(R, S) = E_inner + E_spin, with the terms of spec.exchange."""

    not_exported = (
        "this model has an exchange term (model.exchange), which deepmd-kit's format cannot hold. Use it in "
        "ASE (spinpot.ase.SpinCalculator). --network-only writes the network alone, which is another "
        "potential. A model trained with model/exchange=none can be written completely."
    )

    def __init__(self, inner: Potential) -> None:
        super().__init__(inner)
        self.exchange = ExchangeTerm(self.spec, self.spec.exchange)

    def derivatives(self, batch: Batch, differentiable: bool) -> Derivatives:
        """The sum of the inner model and the exchange term."""
        return total([self.inner.derivatives(batch, differentiable), self.exchange(batch)])

    def energies(self, batch: Batch) -> Tensor:
        """The sum of the inner model's energies and those of the exchange term."""
        return self.inner.energies(batch) + self.exchange.energies(batch)

    def start(self, labels: TrainingLabels) -> list[str]:
        """Fit the term to the labels; initialise the inner model with the residuals, or with zero energy."""
        fit = fit_systems(self.exchange, labels.systems, labels.names, labels.scale)
        self.exchange.start.copy_(fit.coefficients)
        self.exchange.whitening.copy_(fit.whitening)
        self.energy_bias.copy_(fit.energy_bias)
        if (lines := self.inner.start(labels.without(self.exchange))) is None:
            self.inner.begin_at_zero()
        return lines or []

    def end(self, labels: TrainingLabels) -> None:
        """`end` of the inner model with the residuals of the term."""
        self.inner.end(labels.without(self.exchange))

    def without_exchange(self) -> Potential:
        """The inner model alone, which is another potential."""
        for module in self.inner.modules():
            if isinstance(module, Potential):
                module.spec = replace(self.spec, exchange=ExchangeSettings())
        self.inner.facts = self.facts
        return self.inner

    def rewrapped(self, inner: Potential) -> Self:
        """The same term around another inner model; coefficients do not depend on the type map's order."""
        made = super().rewrapped(inner)
        made.exchange.load_state_dict(self.exchange.state_dict())
        return made

    def inference(self) -> list[InferencePart]:
        """The inner model's parts and the exchange term; pairs of elements are ordered as in ExchangeTerm."""
        term = self.exchange
        settings = {
            "cutoff": term.basis.rcut,
            "n_radial": term.basis.number,
            "n_field": term.field_basis.number,
            "terms": list(self.spec.exchange.terms),
        }
        arrays = {
            "seen": torch.from_numpy(self.spec.geometry.seen),
            **{name: getattr(term, name) for name in OF_TERM},
            **term.named(term.coefficients.detach()),
        }
        return [*self.inner.inference(), InferencePart("exchange", settings, arrays)]

    def watched_parameters(self) -> list[nn.Parameter]:
        """The inner model's parameters and the amplitudes."""
        return [*super().watched_parameters(), self.exchange.amplitudes]

    def parts(self) -> dict[str, Part]:
        """The inner model's parts and the exchange term."""
        return {**super().parts(), "exchange": (list(self.exchange.parameters()), ...)}
