"""The native-spin model as the config says it, and with every `auto` settled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from spinpot.core.errors import require
from spinpot.data.dataset import Neighbours
from spinpot.data.geometry import Geometry
from spinpot.models.native_spin.groups import GROUPS, Products
from spinpot.models.native_spin.settings import NetSettings, SumsSettings
from spinpot.models.settings import ModelSettings
from spinpot.models.spec import Spec

CLOSEST_CENTRE = 0.8
"""The first radial function has its centre at this part of the closest neighbours' distance."""
USUAL_CLOSEST = 2.0
"""Å, where the training frames have no neighbours."""


@dataclass(frozen=True, kw_only=True)
class NativeSpinSpec(Spec):
    """The native-spin model with nothing left open."""

    kind: ClassVar[str] = "native_spin"
    compared: ClassVar[tuple[str, ...]] = ("descriptor.cutoff",)

    descriptor: SumsSettings
    fitting_net: NetSettings
    linear: str = "frozen"

    @property
    def geometry(self) -> Geometry:
        """The real atoms within the cutoff."""
        return Geometry.of_real_atoms(self.descriptor.cutoff, len(self.type_map))

    @property
    def products(self) -> Products:
        """How the invariants are made."""
        return Products.of_groups(self.descriptor.groups, self.descriptor.numbers())

    def settled(self, training: Neighbours, resumed: Spec | None) -> Self:
        """With the centre of the first radial function."""
        if self.descriptor.closest != "auto":
            return self
        if isinstance(resumed, NativeSpinSpec):
            return self.with_closest(float(resumed.descriptor.closest))
        distance = float(min(training.closest, default=float("inf")))
        known = distance if distance < self.descriptor.cutoff else USUAL_CLOSEST
        return self.with_closest(round(CLOSEST_CENTRE * known, 3))

    def with_closest(self, closest: float) -> Self:
        """The same with that centre, Å."""
        return replace(self, descriptor=replace(self.descriptor, closest=closest))

    def facts(self, settings: Mapping[str, Any]) -> dict[str, str]:
        """As Spec.facts."""
        widths = "–".join(map(str, self.fitting_net.neuron))
        return {
            "Descriptor": f"{len(self.products.features)} invariants: {', '.join(self.descriptor.groups)}",
            "Net": f"neuron {widths}, one net per element" if widths else "none: linear in the invariants",
            **super().facts(settings),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """The inverse of as_dict."""
        parts = {
            "descriptor": SumsSettings(**stored["descriptor"]),
            "fitting_net": NetSettings(**stored["fitting_net"]),
        }
        return super().from_dict({**stored, **parts})


@dataclass(frozen=True, kw_only=True)
class NativeSpinSettings(ModelSettings):
    """The section `model` of the native-spin model.

    linear: whether the weights of the invariants stay as least squares find them, `frozen`, or are trained
    with the nets, `free`.
    """

    spec_type: ClassVar[type[Spec]] = NativeSpinSpec
    descriptor: SumsSettings = field(default_factory=SumsSettings)
    fitting_net: NetSettings = field(default_factory=NetSettings)
    linear: str = "frozen"

    def check(self) -> None:
        """Raise InputError for what is wrong whatever the data."""
        super().check()
        self.descriptor.check()
        self.fitting_net.check()
        require(self.linear in ("frozen", "free"), "model.linear", self.linear, "frozen or free.")

    def spec(self, type_map: tuple[str, ...], use_spin: tuple[bool, ...]) -> NativeSpinSpec:
        """As ModelSettings.spec; the centre of the first radial function may be left open."""
        return NativeSpinSpec(
            type_map=type_map,
            use_spin=use_spin,
            descriptor=self.descriptor,
            fitting_net=self.fitting_net,
            linear=self.linear,
            exchange=self.exchange,
        )


def spin_orbit_groups(groups: Sequence[str]) -> list[str]:
    """Those whose invariants change if the spins alone turn."""
    return [name for name in groups if GROUPS[name].spin_orbit]
