"""The tasks of `spinpot analyze` by name: their settings and functions."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ase import Atoms

from spinpot.analysis import dynamics, exchange, magnons, relax, rotation, spiral
from spinpot.analysis.result import Result
from spinpot.core.errors import InputError
from spinpot.data.cell import directions


@dataclass(frozen=True)
class Task:
    """A task of `spinpot analyze`.

    settings: a dataclass with the keys of configs/task. work: (model, atoms, settings) → Result.
    files: names of all files that it may write in addition to the page.
    crystal: whether the structure must be periodic along three lattice vectors.
    check: (atoms, settings) → raises InputError for invalid inputs, before the first calculation.
    """

    settings: type[Any]
    work: Callable[..., Result]
    files: tuple[str, ...]
    crystal: bool = False
    check: Callable[..., Any] = lambda atoms, settings: None


TASKS = {
    "exchange": Task(exchange.Settings, exchange.exchange, exchange.FILES, crystal=True),
    "magnons": Task(magnons.Settings, magnons.magnons, ("magnons.png",), crystal=True, check=magnons.check),
    "rotation": Task(rotation.Settings, rotation.rotation, ("rotation.png",), check=rotation.check),
    "spiral": Task(spiral.Settings, spiral.spiral, ("spiral.png",), crystal=True, check=spiral.check),
    "relax": Task(relax.Settings, relax.relax, (relax.RELAXED, "relaxation.png")),
    "dynamics": Task(dynamics.Settings, dynamics.dynamics, ("dynamics.png",), check=dynamics.check),
}


def check_periodic(names: Iterable[str], atoms: Atoms) -> None:
    """Raise InputError for tasks that need a crystal if the structure is not periodic in three directions."""
    wanting = [name for name in names if TASKS[name].crystal]
    if wanting and not atoms.pbc.all():
        others = ", ".join(name for name, task in TASKS.items() if not task.crystal)
        raise InputError(
            f"task {', '.join(wanting)}: needs a crystal, but the structure is periodic "
            f"{directions(atoms.pbc)} of the cell. Give a crystal, or use another task: {others}."
        )
