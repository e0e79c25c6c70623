"""Any model with the exchange term under it."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Self

from torch import Tensor, nn

from spinpot.core.conventions import LABELS
from spinpot.data.batch import Batch
from spinpot.data.systems import System
from spinpot.models.derivatives import Derivatives, total
from spinpot.models.exchange.fit import fit_systems
from spinpot.models.exchange.settings import ExchangeSettings
from spinpot.models.exchange.term import ExchangeTerm
from spinpot.models.potential import Part, Potential
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

    def start(
        self, systems: Sequence[System], labels: Collection[str] = LABELS, scale: Tensor | None = None
    ) -> None:
        """Begin as the term fitted to systems, the inner model giving zero; the others are fit_systems'."""
        fit = fit_systems(self.exchange, systems, labels, scale)
        self.exchange.start.copy_(fit.coefficients)
        self.exchange.whitening.copy_(fit.whitening)
        self.energy_bias.copy_(fit.energy_bias)
        self.inner.begin_at_zero()

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

    def watched_parameters(self) -> list[nn.Parameter]:
        """Also the amplitudes."""
        return [*super().watched_parameters(), self.exchange.amplitudes]

    def parts(self) -> dict[str, Part]:
        """Also the exchange term."""
        return {**super().parts(), "exchange": (list(self.exchange.parameters()), ...)}
