"""The native-spin model's config section, and its spec with every `auto` resolved."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self

from spinpot.core.errors import InputError, require
from spinpot.data.dataset import Neighbours
from spinpot.data.geometry import Geometry
from spinpot.models.exchange.settings import SPIN_ORBIT
from spinpot.models.native_spin.groups import GROUPS, Products
from spinpot.models.native_spin.settings import LEAST_REACH, NetSettings, SumsSettings
from spinpot.models.settings import ModelSettings
from spinpot.models.spec import Spec

CLOSEST_CENTRE = 0.8
"""Centre of the first radial function, relative to the smallest neighbour distance."""
MOST_FRAMES = 500
"""Default for the most frames in the least squares."""
USUAL_CLOSEST = 2.0
"""Å, assumed smallest distance if the training frames have no neighbours."""


@dataclass(frozen=True, kw_only=True)
class NativeSpinSpec(Spec):
    """The complete specification of a native-spin model."""

    kind: ClassVar[str] = "native_spin"
    changeable: ClassVar[tuple[str, ...]] = ("fit_frames",)
    compared: ClassVar[tuple[str, ...]] = ("descriptor.cutoff",)
    has_start: ClassVar[bool] = True

    descriptor: SumsSettings
    fitting_net: NetSettings
    linear: str = "frozen"
    fit_frames: int | str = MOST_FRAMES

    @property
    def geometry(self) -> Geometry:
        """The real atoms within the cutoff."""
        return Geometry.of_real_atoms(self.descriptor.cutoff, len(self.type_map))

    @property
    def most_frames(self) -> int:
        """fit_frames as a number."""
        return sys.maxsize if isinstance(self.fit_frames, str) else self.fit_frames

    @property
    def products(self) -> Products:
        """The products that define the invariants."""
        return Products.of_groups(self.descriptor.groups, self.descriptor.numbers())

    def settled(self, training: Neighbours, resumed: Spec | None) -> Self:
        """As Spec.settled: resolves `closest`, the centre of the first radial function."""
        if self.descriptor.closest != "auto":
            return self
        if isinstance(resumed, NativeSpinSpec):
            return self.with_closest(float(resumed.descriptor.closest))
        distance = float(min(training.closest, default=float("inf")))
        known = distance if distance < self.descriptor.cutoff else USUAL_CLOSEST
        furthest = self.descriptor.cutoff - LEAST_REACH
        return self.with_closest(round(min(CLOSEST_CENTRE * known, furthest), 3))

    def unlike_training(self, found: Neighbours) -> str | None:
        """As Spec.unlike_training: neighbours closer than the centre of the first radial function."""
        distance, centre = float(min(found.closest, default=float("inf"))), float(self.descriptor.closest)
        if distance >= centre:
            return None
        name, index = found.origin[0]
        place = f"{name}, frame {index}" if len(found.origin) == 1 else "some frames"
        return (
            f"atoms {distance:.3g} Å apart in {place}, closer than the centre of the first radial function "
            f"({centre:.3g} Å, model.descriptor.closest). The model extrapolates there."
        )

    def with_closest(self, closest: float) -> Self:
        """The spec with the centre of the first radial function replaced, Å."""
        return replace(self, descriptor=replace(self.descriptor, closest=closest))

    def facts(self, settings: Mapping[str, Any]) -> dict[str, str]:
        """As Spec.facts."""
        widths = "–".join(map(str, self.fitting_net.neuron))
        frozen = "fixed after least squares" if self.linear == "frozen" else "trained with the nets"
        return {
            "Descriptor": f"{len(self.products.features)} invariants: {', '.join(self.descriptor.groups)}",
            "Linear part": f"a weight of each invariant and element, {frozen}",
            "Net": f"neuron {widths}, one net per element" if widths else "none: linear in the invariants",
            **super().facts(settings),
        }

    @property
    def symmetries(self) -> set[str]:
        """As Spec.symmetries; all invariants are even in the spins."""
        bound = [*spin_orbit_groups(self.descriptor.groups), *(set(SPIN_ORBIT) & set(self.exchange.terms))]
        return {"joint_rotation", "time_reversal", *([] if bound else ["spin_rotation"])}

    def config(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """As Spec.config; fit_frames and linear stay as wanted."""
        own = {name: wanted.get(name, getattr(self, name)) for name in ("linear", "fit_frames")}
        return {**super().config(wanted), **own}


@dataclass(frozen=True, kw_only=True)
class NativeSpinSettings(ModelSettings):
    """The section `model` of the native-spin model.

    linear: `frozen`: the weights of the invariants stay at the least-squares solution; `free`: they are
    trained with the nets. fit_frames: most training frames used by least squares, or `all`.
    """

    spec_type: ClassVar[type[Spec]] = NativeSpinSpec
    descriptor: SumsSettings = field(default_factory=SumsSettings)
    fitting_net: NetSettings = field(default_factory=NetSettings)
    linear: str = "frozen"
    fit_frames: int | Literal["all"] = MOST_FRAMES

    def check(self) -> None:
        """Raise InputError for settings that are wrong for any data."""
        super().check()
        self.descriptor.check()
        self.fitting_net.check()
        self._check_symmetries()
        require(self.linear in ("frozen", "free"), "model.linear", self.linear, "frozen or free.")
        some = self.fit_frames == "all" or (isinstance(self.fit_frames, int) and self.fit_frames >= 1)
        require(some, "model.fit_frames", self.fit_frames, "a number of frames, or all.")

    def spec(self, type_map: tuple[str, ...], use_spin: tuple[bool, ...]) -> NativeSpinSpec:
        """As ModelSettings.spec; `closest` may still be `auto`."""
        channels = self.descriptor.numbers(len(type_map), sum(use_spin))
        return NativeSpinSpec(
            type_map=type_map,
            use_spin=use_spin,
            descriptor=replace(self.descriptor, channels=channels),
            fitting_net=self.fitting_net,
            linear=self.linear,
            fit_frames=self.fit_frames,
            exchange=self.exchange,
        )

    def _check_symmetries(self) -> None:
        """Raise InputError for symmetries that the invariants always have, or cannot have."""
        if self.spin.time_reversal != "none":
            raise InputError(
                f"model.spin.time_reversal={self.spin.time_reversal}: native-spin models always have this "
                "symmetry, since all invariants are even in the spins. Use model.spin.time_reversal=none."
            )
        if self.spin.spin_rotation != "none":
            bound = spin_orbit_groups(self.descriptor.groups)
            why = (
                f"{', '.join(bound)} of model.descriptor.groups change when all spins rotate. Remove these "
                "groups: the others are invariant under spin rotation."
                if bound
                else "native-spin models without spin-orbit groups always have this symmetry. Use "
                "model.spin.spin_rotation=none."
            )
            raise InputError(f"model.spin.spin_rotation={self.spin.spin_rotation}: {why}")


def spin_orbit_groups(groups: Sequence[str]) -> list[str]:
    """The groups whose invariants change if all spins rotate but the lattice does not."""
    return [name for name in groups if GROUPS[name].spin_orbit]
