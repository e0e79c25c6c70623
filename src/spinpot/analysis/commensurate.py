"""Wave vectors that fit a supercell, and the smallest supercell that fits a wave vector."""

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import product

import numpy as np
from ase import Atoms
from ase.build import make_supercell
from ase.geometry import minkowski_reduce

from spinpot.core.errors import InputError

CLOSE = 1e-4  # tolerance between a coordinate of a wave vector and a fraction

Wave = tuple[Fraction, ...]  # three numbers, in units of the reciprocal lattice vectors


def as_fractions(q: Sequence[float], most_cells: int) -> Wave:
    """A wave vector as fractions, commensurate with a supercell of at most `most_cells` cells.

    Raises InputError, which names the nearest commensurate vector, if it is not commensurate.
    """
    nearest = min(
        (tuple(Fraction(round(x * cells), cells) for x in q) for cells in range(1, most_cells + 1)),
        key=lambda wave: (round(_distance(wave, q) / CLOSE), cells_of(wave)),
    )
    if _distance(nearest, q) >= CLOSE:
        raise InputError(
            f"q=({', '.join(f'{x:g}' for x in q)}): not commensurate with a supercell of at most "
            f"{most_cells} cells. The nearest commensurate one is ({in_words(nearest)}), with "
            f"{cells_of(nearest)} cells. Give it, or allow more atoms with task.spiral.most_atoms."
        )
    return nearest


def cells_of(wave: Wave) -> int:
    """The number of cells in the smallest supercell of a wave: its common denominator."""
    return math.lcm(*(x.denominator for x in wave))


def supercell_for(wave: Wave) -> np.ndarray:
    """Integer lattice vectors T (3, 3), as rows, of the smallest supercell with q·T whole for each row."""
    q0, q1, q2 = wave
    multiples = range(1, cells_of(wave) + 1)
    a = next(t for t in multiples if q0 * t % 1 == 0)
    b, x = next((t, x) for t, x in product(multiples, range(a)) if (q0 * x + q1 * t) % 1 == 0)
    places = product(multiples, range(a), range(b))
    c, y, z = next((t, y, z) for t, y, z in places if (q0 * y + q1 * z + q2 * t) % 1 == 0)
    return np.array([[a, 0, 0], [x, b, 0], [y, z, c]])


def repeated(atoms: Atoms, wave: Wave) -> Atoms:
    """The smallest supercell that fits the wave, in a compact shape, with repeated moments."""
    matrix = supercell_for(wave)
    _, change = minkowski_reduce(matrix @ atoms.cell.array)
    made: Atoms = make_supercell(atoms, change @ matrix)
    return made


def in_words(wave: Wave) -> str:
    """`1/2, 0, −1/3`."""
    return ", ".join(str(x).replace("-", "−") for x in wave)


def _distance(wave: Wave, q: Sequence[float]) -> float:
    return max(abs(float(x) - y) for x, y in zip(wave, q, strict=True))
