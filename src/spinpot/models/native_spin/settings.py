"""The user's settings of the native-spin model: descriptor, linear part and nets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from spinpot.core.errors import InputError, require
from spinpot.core.spelling import nearest
from spinpot.models.deepspin.settings import check_activation
from spinpot.models.native_spin.groups import GROUPS, KINDS

CHANNELS = {
    "density": 20,
    "direction": 10,
    "shape": 5,
    "moment": 8,
    "moment_square": 10,
    "direction_moment": 5,
    "shape_moment": 5,
    "pseudo_dipole": 8,
}
"""Default number of channels of each kind of sum, for two elements, one of them magnetic."""
ONE_BY_ONE = {"density": 2, "moment": 1, "moment_square": 1, "pseudo_dipole": 1}
"""The numbers of elements (for kinds with moments: magnetic elements) for which CHANNELS are enough.

These channels enter invariants singly.
"""
MORE_CHANNELS = {"anisotropy": {"shape": 16}, "dzyaloshinskii_moriya": {"direction_moment": 8}}
"""Groups that need more channels of some kinds of sum."""
OWN_ELEMENTS = 4
"""Channels grow up to this number of elements, so that the model does not grow with its square."""

LEAST_REACH = 0.5
"""Å, smallest distance from the centre of the first radial function to the cutoff."""


@dataclass(frozen=True)
class SumsSettings:
    """The sums over neighbours, and the groups of invariants built from them.

    cutoff: Å. n_radial: number of radial functions φ_k. closest: Å, centre of the first one; `auto`: 0.8 of
    the smallest neighbour distance in the training frames. groups: names in models.native_spin.groups.
    channels: number per kind of sum; None: `usual_channels`.
    """

    cutoff: float = 5.6
    n_radial: int = 10
    closest: float | Literal["auto"] = "auto"
    groups: Sequence[str] = ("density", "angle", "length", "exchange", "biquadratic", "length_exchange")
    channels: Mapping[str, int] | None = None

    def check(self) -> None:
        """Raise InputError if a value makes no sense."""
        key, groups = "model.descriptor", list(self.groups)
        require(self.cutoff > 1.0, f"{key}.cutoff", self.cutoff, "a length above 1 Å.")
        require(self.n_radial >= 2, f"{key}.n_radial", self.n_radial, "at least 2.")
        if self.closest != "auto":
            fits = 0.0 < self.closest <= self.cutoff - LEAST_REACH
            length = f"a length, at least {LEAST_REACH} Å below the cutoff; or auto."
            require(fits, f"{key}.closest", self.closest, length)
        unknown = [name for name in groups if name not in GROUPS]
        once = groups and not unknown and len(set(groups)) == len(groups)
        close = nearest(unknown[0], GROUPS) if unknown else ""
        require(once, f"{key}.groups", groups, f"some of {', '.join(GROUPS)}, each once.{close}")
        sums = any(GROUPS[name].kinds for name in groups)
        require(sums, f"{key}.groups", groups, "at least one with sums over neighbours, such as exchange.")
        self._check_channels(f"{key}.channels", dict(self.channels or {}))

    def _check_channels(self, key: str, channels: Mapping[str, int]) -> None:
        right = set(channels) <= set(KINDS) and all(type(n) is int and n >= 1 for n in channels.values())
        require(right, key, channels, f"whole numbers of at least 1 for some of {', '.join(KINDS)}.")
        if unused := sorted(channels.keys() - self.numbers()):
            raise InputError(
                f"{key}: no group of model.descriptor.groups needs sums of the kind {' or '.join(unused)}. "
                "Remove this setting, or choose a group that needs them."
            )

    def numbers(self, elements: int = 2, magnetic: int = 1) -> dict[str, int]:
        """Number of channels of each kind of sum that the groups need, in the order of KINDS."""
        needed = {kind for group in self.groups for kind in GROUPS[group].kinds}
        found = usual_channels(elements, magnetic)
        for group in self.groups:
            found |= MORE_CHANNELS.get(group, {})
        found |= dict(self.channels or {})
        return {kind: found[kind] for kind in KINDS if kind in needed}


def usual_channels(elements: int, magnetic: int) -> dict[str, int]:
    """Default number of channels of each kind of sum, by the numbers of elements and magnetic elements.

    Each pair of elements has radial functions of its own. Channels that enter invariants singly grow with the
    number of elements; channels that enter products of two do not.
    """
    present = {kind: magnetic if KINDS[kind].magnetic else elements for kind in ONE_BY_ONE}
    counted = {kind: min(max(n, 1), OWN_ELEMENTS) for kind, n in present.items()}
    return CHANNELS | {kind: CHANNELS[kind] * n // ONE_BY_ONE[kind] for kind, n in counted.items()}


@dataclass(frozen=True)
class NetSettings:
    """The net of each element: hidden widths. Without widths the model is linear in the invariants."""

    neuron: Sequence[int] = (64, 64)
    activation_function: str = "tanh"

    def check(self) -> None:
        """Raise InputError if a value makes no sense."""
        widths = all(type(width) is int and width >= 1 for width in self.neuron)
        require(widths, "model.fitting_net.neuron", list(self.neuron), "whole numbers of at least 1.")
        check_activation("model.fitting_net", self.activation_function)
