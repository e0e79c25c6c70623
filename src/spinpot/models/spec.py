"""A model with nothing left open, and what may be asked of it without its weights."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any, ClassVar, Self, get_type_hints

from spinpot.data.batch import Frame
from spinpot.data.dataset import Neighbours
from spinpot.data.geometry import Geometry
from spinpot.data.systems import System
from spinpot.models.exchange.settings import ExchangeSettings
from spinpot.models.training_facts import TrainingFacts


@dataclass(frozen=True, kw_only=True)
class Spec(ABC):
    """What a checkpoint stores of a model, and what a potential is built from.

    use_spin has one entry per element of type_map. exchange, time_reversal: the wrappers around the model.

    kind: the model's name in checkpoints. changeable: settings that do not change what is trained, so that a
    resumed run may have others. compared: those whose values a sweep's runs are set beside. has_start: if
    fresh potentials are fitted before training (Potential.start).
    """

    kind: ClassVar[str]
    changeable: ClassVar[tuple[str, ...]] = ()
    compared: ClassVar[tuple[str, ...]] = ()
    has_start: ClassVar[bool] = False

    type_map: tuple[str, ...]
    use_spin: tuple[bool, ...]
    exchange: ExchangeSettings = field(default_factory=ExchangeSettings)
    time_reversal: bool = False

    @property
    @abstractmethod
    def geometry(self) -> Geometry:
        """Which neighbour pairs the model needs."""

    @property
    def magnetic_elements(self) -> list[str]:
        """The elements with spin."""
        return [name for name, uses in zip(self.type_map, self.use_spin, strict=True) if uses]

    @property
    def symmetries(self) -> set[str]:
        """Those that hold whatever the weights, by their names in evaluation.json."""
        return {"joint_rotation", *(["time_reversal"] if self.time_reversal else [])}

    def facts(self, settings: Mapping[str, Any]) -> dict[str, str]:
        """What the model is, for pages, by titles. settings: the config's `model`, or empty."""
        facts = {"Cutoff": f"{self.geometry.cutoff:g} Å"}
        if self.exchange.terms:
            facts["Exchange term"] = ", ".join(self.exchange.terms)
        if self.time_reversal:
            facts["Time reversal"] = "exact: the energy is the mean of the model’s for S and −S"
        return facts

    def facts_of(self, kind: int) -> dict[str, str]:
        """What is the model's own about an element, by short titles."""
        return {}

    def reach(self, moment: float) -> float:
        """Å: how far apart two atoms can act on each other, an atom between them seeing both.

        moment: the largest |S|, μ_B.
        """
        return 2.0 * (self.geometry.cutoff + max(self.geometry.virtual_scale) * moment)

    def check(self, system: System) -> None:  # noqa: B027 (most models take any frame)
        """Raise InputError for frames that the model cannot be used on."""

    def check_training(self, systems: Sequence[System]) -> None:
        """Raise InputError for frames that the model cannot be trained on."""
        for system in systems:
            self.check(system)

    def surely_trainable(self, frame: Frame) -> bool:
        """Whether check_training surely passes a frame, told in a few microseconds."""
        return type(self).check is Spec.check and type(self).check_training is Spec.check_training

    def settled(self, training: Neighbours, resumed: "Spec | None") -> Self:
        """The spec with what the neighbours of the training frames settle.

        resumed: that of the run that is resumed, whose values hold where the config leaves them open.
        """
        return self

    def unlike_training(self, found: Neighbours) -> str | None:
        """What to say of the first frame that differs from all training frames."""
        return None

    def ill_posed(self, facts: TrainingFacts | None, systems: Sequence[System]) -> Iterator[tuple[str, str]]:
        """Elements whose moments the model cannot treat well, and what to say of each."""
        yield from ()

    def as_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, for checkpoints and comparisons."""
        return {"kind": self.kind, **plain(asdict(self))}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """The inverse of as_dict, with its dicts as the dataclasses that they were."""
        types, made = get_type_hints(cls), {}
        for name in (item.name for item in fields(cls) if item.name in stored):
            value = stored[name]
            if is_dataclass(types[name]) and isinstance(value, Mapping):
                made[name] = types[name](**value)
            else:
                made[name] = tuple(value) if isinstance(value, list) else value
        return cls(**made)

    def config(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """The settings of a config's `model` that make this model again; wanted: those that are there."""
        made: dict[str, Any] = plain(asdict(self))
        del made["type_map"]
        reversal = "exact" if made.pop("time_reversal") else wanted["spin"]["time_reversal"]
        made["spin"] = {"use_spin": made.pop("use_spin"), "time_reversal": reversal}
        return made


def plain(value: Any) -> Any:
    """Lists for tuples, as JSON and YAML have them."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
