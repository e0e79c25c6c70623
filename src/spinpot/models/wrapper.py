"""A potential around another one: what it does not change it asks of that."""
# ruff: noqa: D102 (each method is what Potential says of it)

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from spinpot.data.batch import Batch, Frame
from spinpot.data.systems import System
from spinpot.models.potential import Part, Potential


class Wrapper(Potential):
    """Adds to the model `inner`, whose spec it shares and whose energy bias is its own."""

    def __init__(self, inner: Potential) -> None:
        nn.Module.__init__(self)
        self.spec = inner.spec
        self.inner = inner

    @property
    def energy_bias(self) -> Tensor:  # type: ignore[override]
        """(T,), eV."""
        return self.inner.energy_bias

    def rewrapped(self, inner: Potential) -> Wrapper:
        """The same around another inner model, in float64."""
        raise NotImplementedError(f"{type(self).__name__}.rewrapped")

    def set_precision(self, dtype: torch.dtype) -> Self:
        self.inner.set_precision(dtype)
        return self

    def set_statistics(self, frames: Iterable[Frame], systems: Sequence[System]) -> None:
        self.inner.set_statistics(frames, systems)

    def cover(self, closest: np.ndarray) -> None:
        self.inner.cover(closest)

    def begin_at_zero(self) -> None:
        self.inner.begin_at_zero()

    def state(self) -> dict[str, Any]:
        return self.inner.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.inner.load_state(state)

    def reordered(self, type_map: Sequence[str]) -> Potential:
        made = self.rewrapped(self.inner.reordered(type_map))
        made.facts = self.facts
        return made

    def watched_parameters(self) -> list[nn.Parameter]:
        return self.inner.watched_parameters()

    def parts(self) -> dict[str, Part]:
        return self.inner.parts()

    def evaluation(self) -> str:
        return self.inner.evaluation()

    def settle(self, batch: Batch, averaged: bool = False) -> str | None:
        return self.inner.settle(batch, averaged)

    def settled_in(self, model: Mapping[str, Any]) -> bool:
        return self.inner.settled_in(model)

    def not_recorded(self) -> str | None:
        return self.inner.not_recorded()

    def record_key(self) -> str:
        return self.inner.record_key()

    def record_reads(self, elements: Sequence[int], closest: list[float]) -> object:
        return self.inner.record_reads(elements, closest)

    def approximation(self, batch: Batch) -> dict[str, Any]:
        return self.inner.approximation(batch)
