"""What a user sets about the model, and the same with every `auto` settled by the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, cast, get_args

from spinpot.core.errors import InputError
from spinpot.models.deepspin.activations import ACTIVATIONS, NOT_SMOOTH, SILUT, activation

PerType = float | Sequence[float] | None
EXCHANGE_TERMS = ("bilinear", "biquadratic", "anisotropic", "single_ion", "landau", "landau_field")
TimeReversal = Literal["none", "augment", "exact"]
SpinRotation = Literal["none", "augment"]


@dataclass(frozen=True)
class DescriptorSettings:
    """The se_e2_a descriptor (Zhang et al., NeurIPS 2018), under deepmd-kit's names.

    `sel` is the largest number of neighbours of each real element, doubled inside for the virtual atoms;
    `auto` takes it from the training data. It scales the descriptor, so it is part of the model. `radial`
    says how the embedding is evaluated: interpolated between nodes, many times faster, or for each pair.
    `exclude_types` are pairs of types that do not see each other, deepmd-kit's pair_exclude_types: indices
    into the type map, those from its length on being the virtual atoms of the same elements.
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
        if not 0.0 <= self.rcut_smth < self.rcut:
            raise InputError(
                f"model.descriptor: rcut_smth={self.rcut_smth} and rcut={self.rcut} Å; "
                "the switch needs 0 <= rcut_smth < rcut."
            )
        if self.env_protection < 0.0:
            raise InputError(f"model.descriptor.env_protection={self.env_protection} is negative; give >= 0.")
        _check_widths("model.descriptor.neuron", self.neuron)
        if not 0 < self.axis_neuron <= self.neuron[-1]:
            raise InputError(
                f"model.descriptor.axis_neuron={self.axis_neuron} must lie between 1 and the last number of "
                f"model.descriptor.neuron, {self.neuron[-1]}."
            )
        _check_activation("model.descriptor", self.activation_function)
        if self.radial == "collocated" and not is_smooth(self.activation_function):
            raise InputError(
                f"model.descriptor.radial=collocated interpolates the embedding, but activation_function="
                f"{self.activation_function} has kinks, of its slope at least. Use "
                "model.descriptor.radial=direct, or another activation, e.g. tanh."
            )
        if isinstance(self.sel, str) and self.sel != "auto":
            raise InputError(
                f"model.descriptor.sel={self.sel!r}: expected `auto` or one number per element type."
            )
        if any(len(pair) != 2 or min(pair) < 0 for pair in self.exclude_types):
            raise InputError(
                f"model.descriptor.exclude_types={self.exclude_types}: expected pairs of type indices, e.g. "
                "[[0,1]]."
            )


@dataclass(frozen=True)
class FittingSettings:
    """The fitting net of each element: hidden widths, activation, and the residual time step."""

    neuron: Sequence[int] = (240, 240, 240)
    activation_function: str = "tanh"
    resnet_dt: bool = True

    def check(self) -> None:
        """Raise InputError if a value makes no sense."""
        _check_widths("model.fitting_net.neuron", self.neuron)
        _check_activation("model.fitting_net", self.activation_function)


@dataclass(frozen=True)
class SpinSettings:
    """Which elements carry a moment, and how far along it their virtual atoms sit.

    The virtual atom of atom i sits at R_i + η S_i with η = virtual_len / spin_norm (Å/μ_B), which deepmd-kit
    calls `virtual_scale` and which may be given instead.

    use_spin: `auto` (the elements with non-zero spins in the training data), one bool per element, indices
        into the type map, or element symbols.
    virtual_len: Å, one number or one per magnetic element (or per element).
    spin_norm: μ_B, likewise.
    virtual_scale: Å/μ_B, likewise, in place of the two.
    time_reversal: E(R, S) = E(R, −S): `exact`, as part of the model; or `augment`, learned from training
        samples whose spins are reversed at random.
    spin_rotation: `augment`: training samples have their spins, and these alone, turned at random; for data
        without spin–orbit coupling.
    """

    use_spin: Literal["auto"] | Sequence[bool] | Sequence[int] | Sequence[str] = "auto"
    virtual_len: PerType = 0.4
    spin_norm: PerType = 1.2737
    virtual_scale: PerType = None
    time_reversal: TimeReversal = "none"
    spin_rotation: SpinRotation = "none"

    def check(self, rcut: float) -> None:
        """Raise InputError for what is wrong whatever the elements; rcut in Å."""
        if self.virtual_scale is not None:
            if self.virtual_len is not None or self.spin_norm is not None:
                raise InputError(
                    "model.spin has virtual_scale as well as virtual_len or spin_norm. virtual_scale stands "
                    "for virtual_len/spin_norm: give one way, e.g. model.spin.virtual_scale=0.314 "
                    "model.spin.virtual_len=null model.spin.spin_norm=null."
                )
        elif self.virtual_len is None or self.spin_norm is None:
            raise InputError(
                "model.spin needs virtual_len (Å) and spin_norm (μ_B), or virtual_scale (Å/μ_B) in their "
                "place."
            )
        for key in ("virtual_len", "spin_norm", "virtual_scale"):
            if min(_numbers(getattr(self, key)), default=0.0) < 0.0:
                raise InputError(f"model.spin.{key}={getattr(self, key)} must be positive.")
        if max(_numbers(self.virtual_len), default=0.0) >= rcut:
            raise InputError(
                f"model.spin.virtual_len={self.virtual_len} Å is not smaller than model.descriptor.rcut="
                f"{rcut}: an atom would not see its own virtual atom. Usual are 0.2 to 0.6 Å."
            )
        for key, options in (("time_reversal", TimeReversal), ("spin_rotation", SpinRotation)):
            if getattr(self, key) not in get_args(options):
                raise InputError(
                    f"model.spin.{key}={getattr(self, key)!r}: expected {' or '.join(get_args(options))}."
                )


@dataclass(frozen=True)
class ExchangeSettings:
    """E_spin, the term under the network (spinpot.models.exchange); without `terms` there is none.

    terms: bilinear −½Σ J(r) S_i·S_j · biquadratic −½Σ B(r) (S_i·S_j)² · anisotropic, the symmetric
        anisotropic exchange · single_ion, of the directions around an atom · landau, of S² alone ·
        landau_field, of S² in the field of the neighbours' moments.
    n_radial: radial functions of which J(r) and its like are made, from 0 to the descriptor's rcut.
    n_field: those, fewer and wider, by which landau_field weighs the neighbours' moments.
    """

    terms: Sequence[str] = ()
    n_radial: int = 10
    n_field: int = 4

    def check(self) -> None:
        """Raise InputError if a value makes no sense."""
        unknown = [name for name in self.terms if name not in EXCHANGE_TERMS]
        if unknown or len(set(self.terms)) < len(self.terms):
            raise InputError(
                f"model.exchange.terms={list(self.terms)}: expected some of {', '.join(EXCHANGE_TERMS)}, "
                "each once. model/exchange=heisenberg and model/exchange=full choose them."
            )
        if self.terms and "bilinear" not in self.terms:
            raise InputError(
                f"model.exchange.terms={list(self.terms)} lacks bilinear, on which the others build. Add it."
            )
        for key in ("n_radial", "n_field"):
            if getattr(self, key) < 1:
                raise InputError(f"model.exchange.{key}={getattr(self, key)}: expected at least 1.")


@dataclass(frozen=True)
class ModelSettings:
    """The whole model as the config writes it."""

    descriptor: DescriptorSettings = field(default_factory=DescriptorSettings)
    fitting_net: FittingSettings = field(default_factory=FittingSettings)
    spin: SpinSettings = field(default_factory=SpinSettings)
    exchange: ExchangeSettings = field(default_factory=ExchangeSettings)

    def check(self) -> None:
        """Raise InputError for what is wrong whatever the data."""
        self.exchange.check()
        fixed = [name for name in ("anisotropic", "single_ion") if name in self.exchange.terms]
        if fixed and self.spin.spin_rotation == "augment":
            raise InputError(
                "model.spin.spin_rotation=augment trains a model that is the same when the spins alone are "
                f"turned; {', '.join(fixed)} of model.exchange.terms do not. Use model/exchange=heisenberg."
            )
        self.descriptor.check()
        self.fitting_net.check()
        self.spin.check(self.descriptor.rcut)


@dataclass(frozen=True)
class ModelSpec:
    """A model with nothing left open: what a checkpoint stores and what a potential is built from.

    use_spin and virtual_scale (Å/μ_B, zero where use_spin is false) have one entry per element of type_map;
    so has descriptor.sel, not doubled. time_reversal: whether E(R, S) is the mean of the networks' energies
    for S and −S.
    """

    type_map: tuple[str, ...]
    descriptor: DescriptorSettings
    fitting_net: FittingSettings
    use_spin: tuple[bool, ...]
    virtual_scale: tuple[float, ...]
    exchange: ExchangeSettings = field(default_factory=ExchangeSettings)
    time_reversal: bool = False

    def __post_init__(self) -> None:
        for pair in self.descriptor.exclude_types:
            if max(pair) >= 2 * len(self.type_map):
                raise InputError(
                    f"model.descriptor.exclude_types={self.descriptor.exclude_types}: the elements "
                    f"{list(self.type_map)} and their virtual atoms have the indices 0 to "
                    f"{2 * len(self.type_map) - 1}. Correct the pairs."
                )

    def with_sel(self, sel: Sequence[int]) -> ModelSpec:
        """The same with the numbers of neighbours settled."""
        return replace(self, descriptor=replace(self.descriptor, sel=tuple(int(n) for n in sel)))

    @property
    def sel_doubled(self) -> tuple[int, ...]:
        """Slots per neighbour type: the real types, then their virtual atoms."""
        return cast(tuple[int, ...], tuple(self.descriptor.sel)) * 2  # type: ignore[arg-type]

    def as_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, for checkpoints and comparisons."""
        return _plain(asdict(self))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ModelSpec:
        """The inverse of as_dict."""
        return cls(
            type_map=tuple(data["type_map"]),
            descriptor=DescriptorSettings(**data["descriptor"]),
            fitting_net=FittingSettings(**data["fitting_net"]),
            use_spin=tuple(data["use_spin"]),
            virtual_scale=tuple(data["virtual_scale"]),
            exchange=ExchangeSettings(**data.get("exchange", {})),
            time_reversal=data.get("time_reversal", False),
        )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _numbers(value: PerType) -> list[float]:
    if value is None:
        return []
    return [value] if isinstance(value, (int, float)) else list(value)


def _check_widths(key: str, widths: Sequence[int]) -> None:
    if not widths or any(not isinstance(width, int) or width < 1 for width in widths):
        raise InputError(f"{key}={list(widths)}: expected at least one layer width, each a number >= 1.")


def is_smooth(activation_function: str) -> bool:
    """Whether a function can be interpolated between nodes."""
    return activation_function.partition(":")[0] not in NOT_SMOOTH


def _check_activation(section: str, name: str) -> None:
    try:
        activation(name)
    except KeyError:
        raise InputError(
            f"{section}.activation_function={name!r} is unknown; choose from {', '.join(ACTIVATIONS)}, "
            f"{SILUT}."
        ) from None
