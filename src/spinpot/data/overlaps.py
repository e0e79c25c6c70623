"""Atoms on top of each other, and the closest atoms of a frame, found in linear time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from spinpot.core.errors import InputError
from spinpot.data.cell import room
from spinpot.data.pairs import neighbours

OVERLAP = 0.1
"""Å; two atoms closer than this are one atom written twice, or a wrong unit."""
SMALLEST_REACH, LARGEST_REACH = 1.0, 4.0
"""Å; vesin divides a frame into boxes as wide as the reach, and many more boxes than atoms are slow."""


def refuse_overlaps(
    box: np.ndarray,
    coord: np.ndarray,
    pbc: Sequence[bool],
    elements: Sequence[str],
    where: Callable[[int], str],
) -> None:
    """Refuse atoms on top of each other. box: (F, 3, 3), coord: (F, N, 3), Å; where: the place of a frame.

    Raises InputError naming file, frame and atoms.
    """
    for frame in range(len(coord)):
        i, j, distance = close_pairs(box[frame], coord[frame], pbc, OVERLAP)
        if len(distance) and distance.min() < OVERLAP:
            pair = int(distance.argmin())
            raise overlapping(where(frame), int(i[pair]), int(j[pair]), elements, float(distance[pair]))


def close_pairs(
    box: np.ndarray, coord: np.ndarray, pbc: Sequence[bool], least: float
) -> tuple[np.ndarray, ...]:
    """Each pair of atoms i, j (P,) of a frame at most `least` Å apart, some beyond, and their distances (P,).

    box: (3, 3); coord: (N, 3). An atom and its own image are a pair too.
    """
    spacing = np.cbrt(room(box, coord, pbc) / len(coord))
    reach = max(least, float(np.clip(spacing, SMALLEST_REACH, LARGEST_REACH)))
    return neighbours(reach, coord, box, pbc, "ijd", full_list=False, n_threads=1)


def overlapping(place: str, i: int, j: int, elements: Sequence[str], distance: float) -> InputError:
    """What is said of atoms i and j at a distance, Å."""
    i, j = sorted((i, j))
    return InputError(
        f"{place}: atoms {i} ({elements[i]}) and {j} ({elements[j]}) are {distance:.3g} Å apart. Expected "
        f"at least {OVERLAP} Å between atoms. Look for an atom written twice, fractional coordinates, or a "
        "wrong cell."
    )
