"""The complete specification of a model, without its weights."""

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
    """The specification that a checkpoint stores and from which a potential is built.

    use_spin has one entry per element of type_map. exchange, time_reversal: the wrappers around the model.

    kind: the model's name in checkpoints. changeable: settings that a resumed run may change, since they do
    not affect the trained weights. compared: settings that a sweep's page compares. has_start: whether new
    potentials are initialised by a fit before training (Potential.start).
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
        """The geometry of the neighbour pairs that the model needs."""

    @property
    def magnetic_elements(self) -> list[str]:
        """The elements with spin."""
        return [name for name, uses in zip(self.type_map, self.use_spin, strict=True) if uses]

    @property
    def symmetries(self) -> set[str]:
        """Symmetries that hold for any weights, by their names in evaluation.json."""
        return {"joint_rotation", *(["time_reversal"] if self.time_reversal else [])}

    def facts(self, settings: Mapping[str, Any]) -> dict[str, str]:
        """{title: fact} on the model, for pages. settings: the config's `model`, or empty."""
        facts = {"Cutoff": f"{self.geometry.cutoff:g} Å"}
        if self.exchange.terms:
            facts["Exchange term"] = ", ".join(self.exchange.terms)
        if self.time_reversal:
            facts["Time reversal"] = "exact: the energy is the mean of the model’s for S and −S"
        return facts

    def facts_of(self, kind: int) -> dict[str, str]:
        """{short title: fact} on an element of the model."""
        return {}

    def reach(self, moment: float) -> float:
        """Å: the largest distance of two atoms that both interact with a third one.

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
        """A quick test (microseconds): True if check_training passes the frame."""
        return type(self).check is Spec.check and type(self).check_training is Spec.check_training

    def settled(self, training: Neighbours, resumed: "Spec | None") -> Self:
        """The spec with every `auto` that depends on the training frames' neighbours resolved.

        resumed: the spec of the run that is resumed; its values replace `auto`.
        """
        return self

    def unlike_training(self, found: Neighbours) -> str | None:
        """A message on the first frame that is unlike all training frames; None if there is none."""
        return None

    def ill_posed(self, facts: TrainingFacts | None, systems: Sequence[System]) -> Iterator[tuple[str, str]]:
        """(element, message) for elements whose moments the model cannot describe well."""
        yield from ()

    def as_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, for checkpoints and comparisons."""
        return {"kind": self.kind, **plain(asdict(self))}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """The inverse of as_dict; nested dicts become dataclasses again."""
        types, made = get_type_hints(cls), {}
        for name in (item.name for item in fields(cls) if item.name in stored):
            value = stored[name]
            if is_dataclass(types[name]) and isinstance(value, Mapping):
                made[name] = types[name](**value)
            else:
                made[name] = tuple(value) if isinstance(value, list) else value
        return cls(**made)

    def config(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """The config's `model` section that rebuilds this model; wanted: the section as given."""
        made: dict[str, Any] = plain(asdict(self))
        del made["type_map"]
        reversal = "exact" if made.pop("time_reversal") else wanted["spin"]["time_reversal"]
        made["spin"] = {"use_spin": made.pop("use_spin"), "time_reversal": reversal}
        return made


def plain(value: Any) -> Any:
    """The value with lists instead of tuples, as in JSON and YAML."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
