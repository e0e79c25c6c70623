"""Finds labels that are all zero, and atoms closer than any bond."""

from collections.abc import Sequence

import numpy as np
from ase.data import atomic_numbers, covalent_radii

from spinpot.data.pairs import OVERLAP, close_pairs
from spinpot.data.readers.deepmd.rows import chunks, taken
from spinpot.data.systems import System
from spinpot.looks.look import Look

BOND = 0.5  # times the sum of covalent radii; bonds, and close contacts in hot liquids, are longer


def zero_labels(system: System) -> dict[str, int]:
    """{label: number of frames in which all its numbers are zero}, often a missing label."""
    labels = {name: chunks(getattr(system, name)) for name in system.labels}
    zeros = {
        name: sum(int((~rows.reshape(len(rows), -1).any(axis=1)).sum()) for (rows,) in every)
        for name, every in labels.items()
    }
    return {name: count for name, count in zeros.items() if count}


def label_looks(system: System) -> list[Look]:
    """Looks for labels that are zero in a whole frame."""
    problem = "is zero in a whole frame; do not write missing labels as zeros"
    zeros = zero_labels(system).items()
    return [Look(f"{name} {problem}", f"{count} of {len(system)} frames") for name, count in zeros]


def close_looks(system: System, frames: Sequence[int]) -> list[Look]:
    """Looks for atoms closer than any bond in the given frames; names the closest pair."""
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
