"""Labels that are zeros, and atoms closer than any bond."""

from collections.abc import Sequence

import numpy as np
from ase.data import atomic_numbers, covalent_radii

from spinpot.data.pairs import OVERLAP, close_pairs
from spinpot.data.readers.deepmd.rows import chunks, taken
from spinpot.data.systems import System
from spinpot.looks.look import Look

BOND = 0.5  # over the sum of covalent radii; bonds, and atoms that meet in a hot liquid, are longer


def zero_labels(system: System) -> dict[str, int]:
    """Frames in which every number of a label is exactly zero, as where a missing label was filled in."""
    labels = {name: chunks(getattr(system, name)) for name in system.labels}
    zeros = {
        name: sum(int((~rows.reshape(len(rows), -1).any(axis=1)).sum()) for (rows,) in every)
        for name, every in labels.items()
    }
    return {name: count for name, count in zeros.items() if count}


def label_looks(system: System) -> list[Look]:
    """Labels that are zero throughout a frame."""
    problem = "is zero throughout a frame; a label that is missing must not be written as zeros"
    zeros = zero_labels(system).items()
    return [Look(f"{name} {problem}", f"{count} of {len(system)} frames") for name, count in zeros]


def close_looks(system: System, frames: Sequence[int]) -> list[Look]:
    """Atoms closer than any bond in the given frames, the closest named."""
    elements = system.elements
    radii = np.array([covalent_radii[atomic_numbers[e]] if e in atomic_numbers else 0.0 for e in elements])
    least = max(2 * BOND * float(radii.max()), OVERLAP)
    box, coord = (taken(array, np.asarray(frames)) for array in (system.box, system.coord))
    frame, i, j, distance = close_pairs(box, coord, system.pbc, least)
    ratio = distance / np.maximum(BOND * (radii[i] + radii[j]), 1e-9)
    close = np.unique(frame[ratio < 1.0])
    if not len(close):
        return []
    k = int(ratio.argmin())
    a, b, worst = int(i[k]), int(j[k]), frames[int(frame[k])]
    looked_at = "frames" if len(frames) == len(system) else "frames looked at"
    seen = (
        f"{len(close)} of {len(frames)} {looked_at}, {system.where(worst)}: atoms {a} ({elements[a]}) and "
        f"{b} ({elements[b]}) are {distance[k]:.3g} Å apart"
    )
    return [Look("atoms closer than any bond", seen)]
