"""The settings that all models share: elements with spin, symmetries, and the exchange term."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from spinpot.core.errors import InputError
from spinpot.models.exchange.settings import SPIN_ORBIT, ExchangeSettings
from spinpot.models.spec import Spec


@dataclass(frozen=True)
class SpinSettings:
    """Which elements carry a moment, and the symmetries of the spins.

    use_spin: `auto` (the elements with non-zero spins in the training data), one bool per element, indices
        into the type map, or element symbols.
    time_reversal: E(R, S) = E(R, −S). `exact`: built into the model; `augment`: learned from training samples
        with randomly reversed spins.
    spin_rotation: `augment`: learned from training samples whose spins, but not positions, are rotated at
        random; for data without spin–orbit coupling.
    """

    use_spin: Literal["auto"] | Sequence[bool] | Sequence[int] | Sequence[str] = "auto"
    time_reversal: Literal["none", "augment", "exact"] = field(default="none", kw_only=True)
    spin_rotation: Literal["none", "augment"] = field(default="none", kw_only=True)


@dataclass(frozen=True, kw_only=True)
class ModelSettings(ABC):
    """The section `model` of a config. Each kind of model has its own, with these two parts in common.

    spec_type: the class of the spec.
    """

    spec_type: ClassVar[type[Spec]]
    spin: SpinSettings = field(default_factory=SpinSettings)
    exchange: ExchangeSettings = field(default_factory=ExchangeSettings)

    def check(self) -> None:
        """Raise InputError for settings that are wrong for any data."""
        self.exchange.check()
        fixed = [name for name in SPIN_ORBIT if name in self.exchange.terms]
        if fixed and self.spin.spin_rotation == "augment":
            raise InputError(
                "model.spin.spin_rotation=augment trains a model that does not change when all spins rotate, "
                f"but {', '.join(fixed)} of model.exchange.terms do. Use model/exchange=heisenberg."
            )

    @abstractmethod
    def spec(self, type_map: tuple[str, ...], use_spin: tuple[bool, ...]) -> Spec:
        """The spec for some elements; values that depend on the frames' neighbours may still be `auto`."""
