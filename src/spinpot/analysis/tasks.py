"""The tasks by name: what each is given, and the function that does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from spinpot.analysis import dynamics, exchange, magnons, relax, rotation, spiral
from spinpot.analysis.result import Result


@dataclass(frozen=True)
class Task:
    """A dataclass, whose fields are the keys of configs/task, and (model, atoms, settings) → Result."""

    settings: type[Any]
    work: Callable[..., Result]


TASKS = {
    "exchange": Task(exchange.Settings, exchange.exchange),
    "magnons": Task(magnons.Settings, magnons.magnons),
    "rotation": Task(rotation.Settings, rotation.rotation),
    "spiral": Task(spiral.Settings, spiral.spiral),
    "relax": Task(relax.Settings, relax.relax),
    "dynamics": Task(dynamics.Settings, dynamics.dynamics),
}
