"""Prefactors that follow the learning rate."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Prefactor:
    """p(t) = start · lr(t)/start_lr + limit · (1 − lr(t)/start_lr)."""

    start: float
    limit: float

    @property
    def active(self) -> bool:
        """Whether the term is on at any time: either end is non-zero."""
        return self.start != 0.0 or self.limit != 0.0

    def at(self, lr_ratio: float) -> float:
        """The prefactor where the learning rate is lr_ratio times its start value."""
        return self.start * lr_ratio + self.limit * (1.0 - lr_ratio)
