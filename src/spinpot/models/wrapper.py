"""A potential around another one: what it does not change it asks of that."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from spinpot.models.potential import Exporter, Potential, refusal

ASKED_OF_INNER = (
    *("set_statistics", "cover", "begin_at_zero", "state", "load_state", "watched_parameters", "parts"),
    *("evaluation", "settle", "settled_in", "not_recorded", "record_key", "record_reads", "approximation"),
    *("start", "end", "uncertainty", "features", "inference"),
)
"""Methods of Potential that a wrapper does not have itself."""


class Wrapper(Potential):
    """Adds to the model `inner`, whose spec it shares and whose energy bias is its own.

    not_exported: why no other program's file can hold what it adds.
    """

    not_exported: ClassVar[str]

    def __init__(self, inner: Potential) -> None:
        nn.Module.__init__(self)
        self.spec = inner.spec
        self.inner = inner

    @property
    def energy_bias(self) -> Tensor:  # type: ignore[override]
        """(T,), eV."""
        return self.inner.energy_bias

    def rewrapped(self, inner: Potential) -> Self:
        """The same around another inner model, in float64."""
        return type(self)(inner)

    def set_precision(self, dtype: torch.dtype) -> Self:
        """That of the inner model."""
        self.inner.set_precision(dtype)
        return self

    def reordered(self, type_map: Sequence[str]) -> Potential:
        """The same around the inner model reordered."""
        made = self.rewrapped(self.inner.reordered(type_map))
        made.facts = self.facts
        return made

    def exporters(self) -> dict[str, Exporter]:
        """None of the inner model's can hold what is around it."""
        return dict.fromkeys(self.inner.exporters(), refusal(self.inner.not_exported or self.not_exported))


def _asked_of_inner(name: str) -> Callable[..., Any]:
    def method(self: Wrapper, *given: Any, **named: Any) -> Any:
        return getattr(self.inner, name)(*given, **named)

    return method


for _name in ASKED_OF_INNER:
    setattr(Wrapper, _name, _asked_of_inner(_name))
