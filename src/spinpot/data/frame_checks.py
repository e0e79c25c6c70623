"""Checks frames for numbers, cells and positions that no model can be trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spinpot.core.conventions import LABELS
from spinpot.core.errors import InputError
from spinpot.data.cell import directions, flat_cells
from spinpot.data.pairs import refuse_overlaps
from spinpot.data.readers.deepmd.rows import chunks

if TYPE_CHECKING:
    from spinpot.data.systems import System

PER_FRAME = ("box", "coord", "spin", *LABELS)  # arrays of a System with a row for each frame
LARGEST = 1e15  # in any unit; differences of larger float64 numbers have too few digits


def check_frames(system: System) -> None:
    """Refuse numbers that are not finite, flat cells and overlapping atoms, naming file, frame and atoms."""
    check_finite(system)
    check_cells(system)
    refuse_overlaps(system.box, system.coord, system.pbc, system.elements, system.where)


def check_finite(system: System) -> None:
    """Refuse NaN, inf and huge numbers. The message names file, frame, atom and component of the first."""
    for array in (name for name in PER_FRAME if getattr(system, name) is not None):
        bad = ~(np.abs(values := getattr(system, array)) < LARGEST)
        if bad.any():
            raise _not_finite(system, array, values, bad)


def _not_finite(system: System, array: str, values: np.ndarray, bad: np.ndarray) -> InputError:
    frame, *rest = (int(i) for i in np.argwhere(bad)[0])
    place = system.where(frame, array)
    if array in ("box", "virial"):
        place += f", row {rest[0]}, column {rest[1]}"
    elif rest:
        place += f", atom {rest[0]} ({system.elements[rest[0]]}), component {'xyz'[rest[1]]}"
    frames = int(np.count_nonzero(bad.reshape(len(bad), -1).any(axis=1)))
    return InputError(
        f"{place}: {values[(frame, *rest)]} ({frames} of {len(values)} frames looked at have NaN, inf "
        f"or numbers beyond {LARGEST:g}). Expected finite numbers. Remove these frames from every file, or "
        "compute them again."
    )


def check_cells(system: System) -> None:
    """Refuse cells whose periodic vectors are linearly dependent."""
    flat = np.flatnonzero(np.concatenate([flat_cells(box, system.pbc) for (box,) in chunks(system.box)]))
    if flat.size:
        raise InputError(
            f"{system.where(flat[0], 'box')}: the cell {system.box[flat[0]].tolist()}, periodic "
            f"{directions(system.pbc)}. Expected independent vectors in Å there. Correct the cell or pbc. In "
            "a deepmd-kit folder, put an empty file `nopbc` beside type.raw for a molecule or cluster; for a "
            "slab or wire, put a file `pbc.raw` there, with 1 for each periodic lattice vector and 0 for the "
            "others."
        )
