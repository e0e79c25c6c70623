"""DeepSPIN's config section, and its spec with every `auto` resolved."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self, cast

from spinpot.core.errors import require
from spinpot.data.batch import Frame
from spinpot.data.dataset import Neighbours
from spinpot.data.geometry import Geometry
from spinpot.data.systems import System
from spinpot.models.deepspin.settings import (
    DescriptorSettings,
    FittingSettings,
    VirtualAtomSettings,
    is_smooth,
)
from spinpot.models.deepspin.sizes import BEYOND_SEL, check_rcut, excess_of, settled_sel, surely_few
from spinpot.models.deepspin.virtual_atoms import (
    check_largest,
    check_moments,
    near_zero,
    surely_placed,
    virtual_scales,
)
from spinpot.models.settings import ModelSettings
from spinpot.models.spec import Spec
from spinpot.models.training_facts import TrainingFacts


@dataclass(frozen=True, kw_only=True)
class DeepSpinSpec(Spec):
    """The complete specification of a DeepSPIN model.

    virtual_scale (Å/μ_B, zero without use_spin) and descriptor.sel (not doubled) have one entry per element
    of type_map.
    """

    kind: ClassVar[str] = "deepspin"
    # How the embedding is evaluated does not change the weights.
    changeable: ClassVar[tuple[str, ...]] = ("descriptor.radial",)
    compared: ClassVar[tuple[str, ...]] = ("spin.virtual_len", "descriptor.rcut")

    descriptor: DescriptorSettings
    fitting_net: FittingSettings
    virtual_scale: tuple[float, ...]

    def __post_init__(self) -> None:
        pairs, last = self.descriptor.exclude_types, 2 * len(self.type_map) - 1
        expected = f"indices 0 to {last}, of the elements {list(self.type_map)} and their virtual atoms."
        require(all(max(pair) <= last for pair in pairs), "model.descriptor.exclude_types", pairs, expected)

    @property
    def geometry(self) -> Geometry:
        """Real and virtual neighbours within rcut; with time reversal, of both S and −S."""
        return Geometry(
            self.descriptor.rcut,
            self.use_spin,
            self.virtual_scale,
            self.descriptor.exclude_types,
            any_direction=self.time_reversal,
        )

    def check(self, system: System) -> None:
        """Refuse moments whose virtual atoms lie beyond rcut."""
        check_largest(self, system)

    def check_training(self, systems: Sequence[System]) -> None:
        """Refuse moments as `check` does, an rcut with far too many neighbours, and infinite 1/r."""
        check_rcut(self.descriptor.rcut, systems)
        check_moments(self, systems)

    def surely_trainable(self, frame: Frame) -> bool:
        """As Spec.surely_trainable: checks the largest spin component and the density."""
        return surely_few(self.descriptor.rcut, frame) and surely_placed(self, frame)

    def settled(self, training: Neighbours, resumed: Spec | None) -> Self:
        """As Spec.settled: resolves sel to one number per element. Raises InputError if it is too small."""
        spec = self
        if isinstance(resumed, DeepSpinSpec) and self.descriptor.sel == "auto":
            spec = self.with_sel(cast(Sequence[int], resumed.descriptor.sel))
        return spec.with_sel(settled_sel(spec, training))

    def unlike_training(self, found: Neighbours) -> str | None:
        """Atoms with more neighbours than sel."""
        excess = excess_of(self, found)
        return excess and f"{excess} {BEYOND_SEL}"

    def ill_posed(self, facts: TrainingFacts | None, systems: Sequence[System]) -> Iterator[tuple[str, str]]:
        """Elements with spin that have moments near zero, where the energy has a cusp."""
        return near_zero(self, facts, systems)

    def facts(self, settings: Mapping[str, Any]) -> dict[str, str]:
        """As Spec.facts."""
        one, net, spin = self.descriptor, self.fitting_net, settings.get("spin", {})
        facts = {
            "Descriptor": f"se_e2_a, neuron {_widths(one.neuron)}, axis_neuron {one.axis_neuron}",
            "Fitting net": f"neuron {_widths(net.neuron)}, one net per element",
            **super().facts(settings),
            "Cutoff": f"rcut {one.rcut:g} Å, switched from rcut_smth {one.rcut_smth:g} Å on",
        }
        if spin.get("virtual_len") is not None:
            facts["Virtual atoms"] = (
                f"virtual_len {spin['virtual_len']} Å at spin_norm {spin['spin_norm']} μ_B"
            )
        return facts

    def facts_of(self, kind: int) -> dict[str, str]:
        """Distance of the virtual atoms, and sel."""
        scale = {"virtual_scale": f"{self.virtual_scale[kind]:.4f} Å/μ_B"} if self.use_spin[kind] else {}
        return {**scale, "sel": str(self.sel_doubled[kind])}

    def with_sel(self, sel: Sequence[int]) -> Self:
        """The spec with sel replaced."""
        return replace(self, descriptor=replace(self.descriptor, sel=tuple(int(n) for n in sel)))

    @property
    def sel_doubled(self) -> tuple[int, ...]:
        """Slots per neighbour type: the real types, then their virtual atoms."""
        return cast(tuple[int, ...], tuple(self.descriptor.sel)) * 2  # type: ignore[arg-type]

    def config(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """As Spec.config; the evaluation of the embedding stays as wanted, if possible."""
        made = super().config(wanted)
        wanted_radial = wanted.get("descriptor", {}).get("radial", "collocated")
        smooth = is_smooth(self.descriptor.activation_function)
        made["descriptor"]["radial"] = wanted_radial if smooth else "direct"
        made["spin"] |= {"virtual_len": None, "spin_norm": None, "virtual_scale": made.pop("virtual_scale")}
        return made


@dataclass(frozen=True, kw_only=True)
class DeepSpinSettings(ModelSettings):
    """The section `model` of DeepSPIN."""

    spec_type: ClassVar[type[Spec]] = DeepSpinSpec
    descriptor: DescriptorSettings = field(default_factory=DescriptorSettings)
    fitting_net: FittingSettings = field(default_factory=FittingSettings)
    spin: VirtualAtomSettings = field(default_factory=VirtualAtomSettings)

    def check(self) -> None:
        """Raise InputError for settings that are wrong for any data."""
        super().check()
        self.descriptor.check()
        self.fitting_net.check()
        self.spin.check_within(self.descriptor.rcut)

    def spec(self, type_map: tuple[str, ...], use_spin: tuple[bool, ...]) -> DeepSpinSpec:
        """As ModelSettings.spec; sel may still be `auto`."""
        return DeepSpinSpec(
            type_map=type_map,
            use_spin=use_spin,
            descriptor=self.descriptor,
            fitting_net=self.fitting_net,
            virtual_scale=virtual_scales(self.spin, use_spin, self.descriptor.rcut),
            exchange=self.exchange,
            time_reversal=self.spin.time_reversal == "exact",
        )


def _widths(neuron: Sequence[int]) -> str:
    return "–".join(map(str, neuron))
