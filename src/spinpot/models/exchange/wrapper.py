"""Any model with the exchange term under it."""

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
    """E(R, S) = E_inner + E_spin, the terms of spec.exchange."""

    not_exported = (
        "this model has an exchange term (model.exchange), for which deepmd-kit's format has no place. ASE "
        "carries it (spinpot.ase.SpinCalculator). --network-only writes the network alone, another "
        "potential; a model trained with model/exchange=none can be written whole."
    )

    def __init__(self, inner: Potential) -> None:
        super().__init__(inner)
        self.exchange = ExchangeTerm(self.spec, self.spec.exchange)

    def derivatives(self, batch: Batch, differentiable: bool) -> Derivatives:
        """The sum."""
        return total([self.inner.derivatives(batch, differentiable), self.exchange(batch)])

    def energies(self, batch: Batch) -> Tensor:
        """The sum."""
        return self.inner.energies(batch) + self.exchange.energies(batch)

    def start(self, labels: TrainingLabels) -> list[str]:
        """Begin as the term fitted to the labels; the inner model with what it leaves, or giving zero."""
        fit = fit_systems(self.exchange, labels.systems, labels.names, labels.scale)
        self.exchange.start.copy_(fit.coefficients)
        self.exchange.whitening.copy_(fit.whitening)
        self.energy_bias.copy_(fit.energy_bias)
        lines = self.inner.start(labels.without(self.exchange))
        if lines is None:
            self.inner.begin_at_zero()
        return lines or []

    def end(self, labels: TrainingLabels) -> None:
        """That of the inner model with what the term leaves."""
        self.inner.end(labels.without(self.exchange))

    def without_exchange(self) -> Potential:
        """The inner model alone, another potential."""
        for module in self.inner.modules():
            if isinstance(module, Potential):
                module.spec = replace(self.spec, exchange=ExchangeSettings())
        self.inner.facts = self.facts
        return self.inner

    def rewrapped(self, inner: Potential) -> Self:
        """The same term; its coefficients are in the alphabetical order of the elements, whatever theirs."""
        made = super().rewrapped(inner)
        made.exchange.load_state_dict(self.exchange.state_dict())
        return made

    def inference(self) -> list[InferencePart]:
        """Also the exchange term; pairs of elements and of terms are counted as in ExchangeTerm."""
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
        """Also the amplitudes."""
        return [*super().watched_parameters(), self.exchange.amplitudes]

    def parts(self) -> dict[str, Part]:
        """Also the exchange term."""
        return {**super().parts(), "exchange": (list(self.exchange.parameters()), ...)}
