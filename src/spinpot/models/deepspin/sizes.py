"""sel: the number of neighbours of each element that the descriptor is normalised by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from spinpot.core.errors import InputError
from spinpot.data.batch import Frame
from spinpot.data.dataset import FrameDataset
from spinpot.data.systems import System

if TYPE_CHECKING:
    from spinpot.models.deepspin.spec import DeepSpinSpec

MOST_NEIGHBOURS = 10_000
"""Around an atom: a hundred times the usual number."""
BEYOND_SEL = (
    "spinpot counts them all; but no training frame had as many, and deepmd-kit and LAMMPS leave out the "
    "farthest of them."
)
"""Of frames that did not size the model. Here sel is what the sums over neighbours are divided by."""


def settled_sel(spec: DeepSpinSpec, training: FrameDataset) -> list[int]:
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
        found = training.most_neighbours
        return [max(4, int(np.ceil(1.1 * n / 4)) * 4) for n in found]
    settled = one_per_type(sel, n_types)
    if excess := excess_of_frames(spec.with_sel(settled), training):
        least = training.most_neighbours.tolist()
        raise InputError(f"{excess} Train with model.descriptor.sel=auto, or at least {least}.")
    return settled


def check_rcut(rcut: float, systems: Iterable[System]) -> None:
    """Raise InputError if a sphere of rcut (Å) holds absurdly many atoms, by the density of first frames."""
    for system in systems:
        expected = _expected_neighbours(rcut, system)
        if expected > MOST_NEIGHBOURS:
            raise InputError(
                f"model.descriptor.rcut={rcut} Å: an atom of {system.name} would have about {expected:.2g} "
                f"neighbours within it, and more than {MOST_NEIGHBOURS} are refused. Usual are 4 to 10 Å; "
                "check that coordinates and cells are in Å."
            )


def _expected_neighbours(rcut: float, system: System) -> float:
    """Atoms in a sphere of rcut about an atom of the first frame, by their density.

    Along directions without images the atoms themselves tell how much room they take; a thin layer or wire
    counts by the area or length that is within rcut.
    """
    cell, periodic = system.cell[0], np.array(system.pbc)
    # Not rcut**3, with which Python raises an error of its own if it is too large.
    balls = (1.0, 2.0 * rcut, np.pi * rcut * rcut, 4 / 3 * np.pi * rcut * rcut * rcut)
    per_volume = system.n_atoms / abs(np.linalg.det(cell))
    extent = np.ptp(system.coord[0] @ np.linalg.inv(cell), axis=0)[~periodic].prod()
    thin = per_volume * balls[int(periodic.sum())]
    return float(thin if extent == 0.0 else min(thin, per_volume / extent * balls[3]))


def excess_of_frames(spec: DeepSpinSpec, dataset: FrameDataset) -> str | None:
    """What to say of frames where atoms have more neighbours than sel."""
    beyond = np.flatnonzero(
        (np.maximum(*np.split(dataset.most, 2, axis=1)) > spec.descriptor.sel).any(axis=1)
    )
    if not len(beyond):
        return None
    system, index = dataset.places[beyond[0]]
    more = f" (and {len(beyond) - 1} more frames)" if len(beyond) > 1 else ""
    return _more_than_sel(spec, dataset.most[beyond[0]], f"{system.name}, frame {index}{more}")


def excess_of(spec: DeepSpinSpec, frame: Frame) -> str | None:
    """What to say of a frame where an atom has more neighbours than sel."""
    counts = frame.neighbour_counts
    if spec.time_reversal:  # it also has pairs beyond rcut
        within = np.square(frame.pair_vector).sum(axis=-1) < spec.descriptor.rcut**2
        places = (frame.pair_centre * counts.shape[1] + frame.pair_type)[within]
        counts = np.bincount(places, minlength=counts.size).reshape(counts.shape)
    name, index = frame.origin
    return _more_than_sel(spec, counts.max(axis=0), f"{name}, frame {index}")


def _more_than_sel(spec: DeepSpinSpec, most: np.ndarray, where: str) -> str | None:
    """Whether an atom has more neighbours of an element than sel, in words.

    most: (2T,) the most neighbours of each type, real or virtual.
    """
    sel, found = np.array(spec.descriptor.sel), most.reshape(2, -1).max(axis=0)
    if not np.any(found > sel):
        return None
    short = int(np.argmax(found > sel))
    return (
        f"model.descriptor.sel={sel.tolist()} is too small for {where}: an atom has {found[short]} "
        f"neighbours {spec.type_map[short]} within {spec.descriptor.rcut} Å (rcut), and sel is {sel[short]}."
    )


def one_per_type(sel: int | Sequence[int], n_types: int) -> list[int]:
    """The numbers of neighbours of every element. Raises InputError for a wrong length or wrong numbers."""
    numbers = [sel] * n_types if isinstance(sel, int) else list(sel)
    if len(numbers) != n_types:
        raise InputError(
            f"model.descriptor.sel={numbers} has {len(numbers)} numbers; expected one per element, {n_types} "
            "(the virtual atoms' are added inside), or `auto`."
        )
    if any(not isinstance(number, int) or number < 1 for number in numbers):
        raise InputError(f"model.descriptor.sel={numbers}: expected numbers of neighbours >= 1.")
    return numbers
