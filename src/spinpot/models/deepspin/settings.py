"""The user's settings of DeepSPIN: descriptor, fitting nets and virtual atoms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from spinpot.core.errors import InputError, require
from spinpot.models.deepspin.activations import ACTIVATIONS, NOT_SMOOTH, SILUT, activation
from spinpot.models.elements import PerType
from spinpot.models.settings import SpinSettings


@dataclass(frozen=True)
class DescriptorSettings:
    """The se_e2_a descriptor (Zhang et al., NeurIPS 2018), under deepmd-kit's names.

    `sel` is the largest number of neighbours of each real element; spinpot doubles it for the virtual atoms.
    `auto` takes it from the training data. The descriptor is divided by it, so it is part of the model.
    `radial`: `collocated` interpolates the embedding, which is many times faster; `direct` evaluates it for
    each pair. `exclude_types`: pairs of types that do not interact, deepmd-kit's pair_exclude_types; indices
    into the type map, followed by the virtual atoms of the same elements.
    """

    rcut: float = 6.0
    rcut_smth: float = 0.5
    sel: int | Sequence[int] | Literal["auto"] = "auto"
    neuron: Sequence[int] = (25, 50, 100)
    axis_neuron: int = 16
    activation_function: str = "tanh"
    resnet_dt: bool = False
    type_one_side: bool = False
    set_davg_zero: bool = False
    env_protection: float = 0.01
    radial: Literal["collocated", "direct"] = "collocated"
    exclude_types: Sequence[Sequence[int]] = ()

    def check(self) -> None:
        """Raise InputError if a value makes no sense."""
        key = "model.descriptor"
        switched = f"0 <= rcut_smth < rcut, which is {self.rcut} Å."
        require(0.0 <= self.rcut_smth < self.rcut, f"{key}.rcut_smth", self.rcut_smth, switched)
        require(self.env_protection >= 0.0, f"{key}.env_protection", self.env_protection, "a length >= 0 Å.")
        _check_widths(f"{key}.neuron", self.neuron)
        last = f"1 to {self.neuron[-1]}, the last number of {key}.neuron."
        require(0 < self.axis_neuron <= self.neuron[-1], f"{key}.axis_neuron", self.axis_neuron, last)
        check_activation(key, self.activation_function)
        if self.radial == "collocated" and not is_smooth(self.activation_function):
            raise InputError(
                f"model.descriptor.radial=collocated interpolates the embedding, but activation_function="
                f"{self.activation_function} is not smooth enough for that. Use "
                "model.descriptor.radial=direct, or another activation, e.g. tanh."
            )
        pairs = all(len(pair) == 2 and min(pair) >= 0 for pair in self.exclude_types)
        require(pairs, f"{key}.exclude_types", self.exclude_types, "pairs of type indices, e.g. [[0,1]].")


@dataclass(frozen=True)
class FittingSettings:
    """The fitting net of each element: hidden widths, activation, and the residual time step."""

    neuron: Sequence[int] = (240, 240, 240)
    activation_function: str = "tanh"
    resnet_dt: bool = True

    def check(self) -> None:
        """Raise InputError if a value makes no sense."""
        _check_widths("model.fitting_net.neuron", self.neuron)
        check_activation("model.fitting_net", self.activation_function)


@dataclass(frozen=True)
class VirtualAtomSettings(SpinSettings):
    """Which elements carry a moment, and the positions of their virtual atoms.

    The virtual atom of atom i is at R_i + η S_i with η = virtual_len / spin_norm (Å/μ_B). deepmd-kit calls η
    `virtual_scale`; it may be given instead.

    virtual_len: Å, one number or one per magnetic element (or per element).
    spin_norm: μ_B, likewise.
    virtual_scale: Å/μ_B, likewise, instead of the two.
    """

    virtual_len: PerType = 0.4
    spin_norm: PerType = 1.2737
    virtual_scale: PerType = None

    def check_within(self, rcut: float) -> None:
        """Raise InputError for settings that are wrong for any elements; rcut in Å."""
        given = [value is not None for value in (self.virtual_len, self.spin_norm, self.virtual_scale)]
        if given not in ([True, True, False], [False, False, True]):
            raise InputError(
                "model.spin needs virtual_len (Å) and spin_norm (μ_B), or their quotient virtual_scale "
                "(Å/μ_B): give one way, e.g. model.spin.virtual_scale=0.314 "
                "model.spin.virtual_len=null model.spin.spin_norm=null."
            )
        for key in ("virtual_len", "spin_norm", "virtual_scale"):
            value = getattr(self, key)
            require(min(_numbers(value), default=0.0) >= 0.0, f"model.spin.{key}", value, "numbers > 0.")
        if max(_numbers(self.virtual_len), default=0.0) >= rcut:
            raise InputError(
                f"model.spin.virtual_len={self.virtual_len} Å is not smaller than model.descriptor.rcut="
                f"{rcut}: an atom's own virtual atom would be beyond the cutoff. Usual are 0.2 to 0.6 Å."
            )


def _numbers(value: PerType) -> list[float]:
    if value is None:
        return []
    return [value] if isinstance(value, (int, float)) else list(value)


def _check_widths(key: str, widths: Sequence[int]) -> None:
    right = widths and all(isinstance(width, int) and width >= 1 for width in widths)
    require(right, key, list(widths), "at least one layer width, each a number >= 1.")


def is_smooth(activation_function: str) -> bool:
    """Whether a function can be interpolated between nodes."""
    return activation_function.partition(":")[0] not in NOT_SMOOTH


def check_activation(section: str, name: str) -> None:
    """Raise InputError for an unknown activation function; section: of the config."""
    try:
        activation(name)
    except KeyError:
        raise InputError(
            f"{section}.activation_function={name!r} is unknown; choose from {', '.join(ACTIVATIONS)}, "
            f"{SILUT}."
        ) from None
