"""A potential that wraps another one; it delegates what it does not change."""

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
"""Methods of Potential that a wrapper delegates to the inner model."""


class Wrapper(Potential):
    """Extends the model `inner`; it shares the inner model's spec and energy bias.

    not_exported: why no other program's file can hold what it adds.
    """

    not_exported: ClassVar[str]

    def __init__(self, inner: Potential) -> None:
        nn.Module.__init__(self)
        self.spec = inner.spec
        self.inner = inner

    @property
    def energy_bias(self) -> Tensor:  # type: ignore[override]
        """That of the inner model, (T,), eV."""
        return self.inner.energy_bias

    def rewrapped(self, inner: Potential) -> Self:
        """The same wrapper around another inner model, in float64."""
        return type(self)(inner)

    def set_precision(self, dtype: torch.dtype) -> Self:
        """Set the precision of the inner model."""
        self.inner.set_precision(dtype)
        return self

    def reordered(self, type_map: Sequence[str]) -> Potential:
        """The same wrapper around the reordered inner model."""
        made = self.rewrapped(self.inner.reordered(type_map))
        made.facts = self.facts
        return made

    def drawn(self, generator: torch.Generator) -> Potential | None:
        """The same wrapper around the drawn inner model."""
        inner = self.inner.drawn(generator)
        return None if inner is None else self.rewrapped(inner)

    def exporters(self) -> dict[str, Exporter]:
        """The inner model's formats, which raise InputError: they cannot hold the wrapper."""
        return dict.fromkeys(self.inner.exporters(), refusal(self.inner.not_exported or self.not_exported))


def _asked_of_inner(name: str) -> Callable[..., Any]:
    def method(self: Wrapper, *given: Any, **named: Any) -> Any:
        return getattr(self.inner, name)(*given, **named)

    return method


for _name in ASKED_OF_INNER:
    setattr(Wrapper, _name, _asked_of_inner(_name))
