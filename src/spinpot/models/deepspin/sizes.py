"""Determines and checks sel, the number of neighbours of each element, which normalises the descriptor."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from spinpot.core.errors import InputError, require
from spinpot.data.batch import Frame
from spinpot.data.cell import completed, volume
from spinpot.data.dataset import Neighbours
from spinpot.data.systems import System

if TYPE_CHECKING:
    from spinpot.models.deepspin.spec import DeepSpinSpec

MOST_NEIGHBOURS = 10_000  # limit for an atom, a hundred times the usual number
BEYOND_SEL = (
    "spinpot counts them all, but no frame that determined sel had as many; deepmd-kit and its LAMMPS plugin "
    "ignore the farthest ones."
)
"""Appended to messages on frames that did not determine sel. Only the normalisation depends on sel."""


def settled_sel(spec: "DeepSpinSpec", training: Neighbours) -> list[int]:
    """One number of neighbours per element, enough for every training frame.

    `auto` gives 10 % more than the most neighbours found, rounded up to a multiple of 4, which is
    deepmd-kit's rule. Raises InputError for a sel of the wrong length or too small.
    """
    n_types = len(spec.type_map)
    if not training.most[:, :n_types].any():
        raise InputError(
            f"model.descriptor.rcut={spec.descriptor.rcut} Å: no atom of the training data has a neighbour "
            "within it. Usual are 5 to 6 Å; check that coordinates and cells are in Å."
        )
    sel = spec.descriptor.sel
    if isinstance(sel, str):
        found = training.most_of_elements
        return [max(4, int(np.ceil(1.1 * n / 4)) * 4) for n in found]
    settled = one_per_type(sel, n_types)
    if excess := excess_of(spec.with_sel(settled), training):
        least = training.most_of_elements.tolist()
        raise InputError(f"{excess} Train with model.descriptor.sel=auto, or at least {least}.")
    return settled


def check_rcut(rcut: float, systems: Iterable[System]) -> None:
    """Raise InputError if a sphere of radius rcut (Å) would hold far too many atoms; uses first frames."""
    for system in systems:
        expected = _expected_neighbours(rcut, system)
        if expected > MOST_NEIGHBOURS:
            raise InputError(
                f"model.descriptor.rcut={rcut} Å: an atom of {system.name} would have about {expected:.2g} "
                f"neighbours within it, and more than {MOST_NEIGHBOURS} are refused. Usual are 4 to 10 Å; "
                "check that coordinates and cells are in Å."
            )


def surely_few(rcut: float, frame: Frame) -> bool:
    """A quick test: True if check_rcut passes the frame."""
    per_volume = len(frame.types) / volume(completed(frame.box, frame.pbc))
    return per_volume * _balls(rcut)[sum(frame.pbc)] <= MOST_NEIGHBOURS


def _expected_neighbours(rcut: float, system: System) -> float:
    """Atoms in a sphere of rcut about an atom of the first frame, by their density.

    Along non-periodic directions the extent of the atoms is used; for a thin layer or wire, the area or
    length within rcut.
    """
    cell, periodic, balls = system.cell[0], np.array(system.pbc), _balls(rcut)
    per_volume = system.n_atoms / abs(np.linalg.det(cell))
    extent = np.ptp(system.coord[0] @ np.linalg.inv(cell), axis=0)[~periodic].prod()
    thin = per_volume * balls[int(periodic.sum())]
    return float(thin if extent == 0.0 else min(thin, per_volume / extent * balls[3]))


def _balls(rcut: float) -> tuple[float, float, float, float]:
    """Volume of a ball of radius rcut in 0, 1, 2 and 3 dimensions."""
    # Not rcut**3: Python raises OverflowError if it is too large.
    return 1.0, 2.0 * rcut, np.pi * rcut * rcut, 4 / 3 * np.pi * rcut * rcut * rcut


def excess_of(spec: "DeepSpinSpec", found: Neighbours) -> str | None:
    """A message on frames whose atoms have more neighbours than sel; None if there are none."""
    sel, most = np.array(spec.descriptor.sel), np.maximum(*np.split(found.most, 2, axis=1))
    beyond = np.flatnonzero((most > sel).any(axis=1))
    if not len(beyond):
        return None
    first = beyond[0]
    short = int(np.argmax(most[first] > sel))
    name, index = found.origin[first]
    more = f" (and {len(beyond) - 1} more frames)" if len(beyond) > 1 else ""
    return (
        f"model.descriptor.sel={sel.tolist()} is too small for {name}, frame {index}{more}: an atom has "
        f"{most[first, short]} neighbours {spec.type_map[short]} within {spec.descriptor.rcut} Å (rcut), and "
        f"sel is {sel[short]}."
    )


def one_per_type(sel: int | Sequence[int], n_types: int) -> list[int]:
    """Expand sel to one number per element. Raises InputError for a wrong length or wrong numbers."""
    numbers = [sel] * n_types if isinstance(sel, int) else list(sel)
    right = len(numbers) == n_types and all(isinstance(n, int) and n >= 1 for n in numbers)
    expected = f"{n_types} numbers >= 1, one per element (the virtual atoms' are added inside), or `auto`."
    require(right, "model.descriptor.sel", numbers, expected)
    return numbers
