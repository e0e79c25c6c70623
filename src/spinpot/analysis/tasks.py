"""The tasks by name: what each is given, and the function that does it."""

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
    """A dataclass, whose fields are the keys of configs/task, and (model, atoms, settings) → Result.

    crystal: whether it makes sense only for structures that are periodic along three lattice vectors.
    check: (atoms, settings) → raises InputError for what is known to be wrong before anything is computed.
    files: names of all that it may write beside the page.
    of_pairs: whether it needs pairs of moments that the training data tell apart.
    """

    settings: type[Any]
    work: Callable[..., Result]
    files: tuple[str, ...]
    crystal: bool = False
    check: Callable[..., Any] = lambda atoms, settings: None
    of_pairs: bool = False


TASKS = {
    "exchange": Task(exchange.Settings, exchange.exchange, exchange.FILES, crystal=True, of_pairs=True),
    "magnons": Task(
        magnons.Settings, magnons.magnons, ("magnons.png",), crystal=True, check=magnons.check, of_pairs=True
    ),
    "rotation": Task(rotation.Settings, rotation.rotation, ("rotation.png",), check=rotation.check),
    "spiral": Task(spiral.Settings, spiral.spiral, ("spiral.png",), crystal=True, check=spiral.check),
    "relax": Task(relax.Settings, relax.relax, (relax.RELAXED, "relaxation.png")),
    "dynamics": Task(dynamics.Settings, dynamics.dynamics, ("dynamics.png",), check=dynamics.check),
}


def check_periodic(names: Iterable[str], atoms: Atoms) -> None:
    """Raise InputError for tasks that need a crystal, where the structure is none."""
    wanting = [name for name in names if TASKS[name].crystal]
    if wanting and not atoms.pbc.all():
        others = ", ".join(name for name, task in TASKS.items() if not task.crystal)
        raise InputError(
            f"task {', '.join(wanting)}: needs a crystal, and the structure is periodic "
            f"{directions(atoms.pbc)} of the cell. Give a crystal, or another task: {others}."
        )
