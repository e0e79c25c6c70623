"""ase.Atoms with vector moments → a System of one frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms

from spinpot.data.systems import System
from spinpot.errors import InputError


def system_from_atoms(atoms: Atoms, name: str = "atoms") -> System:
    """One unlabelled frame; its type map lists the elements in alphabetical order, the atoms keep theirs.

    The spins (μ_B) are the initial magnetic moments, three numbers per atom.
    Raises InputError if they are anything else, if the cell is not periodic in all directions, or if a
    number is not finite.
    """
    symbols = atoms.get_chemical_symbols()
    type_map = tuple(sorted(set(symbols)))
    frame = {"box": atoms.cell.array, "coord": atoms.positions, "spin": _spins(atoms, name)}
    for array, values in frame.items():
        if not np.isfinite(values).all():
            raise InputError(f"{name}: {array} holds a number that is not finite. Correct it.")
    if not atoms.pbc.all() or atoms.cell.rank < 3:
        raise InputError(
            f"{name}: pbc={atoms.pbc.tolist()}, cell rank {atoms.cell.rank}. Expected three lattice vectors "
            "and pbc=True. For a molecule or cluster, set a cell larger than it by the cutoff on every side."
        )
    return System(
        name=name,
        path=Path(name),
        type_map=type_map,
        types=np.array([type_map.index(symbol) for symbol in symbols], dtype=np.int64),
        box=np.array(frame["box"], dtype=np.float64)[None],
        coord=np.array(frame["coord"], dtype=np.float64)[None],
        spin=np.array(frame["spin"], dtype=np.float64)[None],
        energy=None,
        force=None,
        force_mag=None,
        virial=None,
    )


def _spins(atoms: Atoms, name: str) -> np.ndarray:
    """Magnetic moments (N, 3), μ_B."""
    moments = atoms.arrays.get("initial_magmoms")
    if moments is None or moments.shape != (len(atoms), 3):
        found = "none" if moments is None else f"an array of shape {moments.shape}"
        raise InputError(
            f"{name}: initial magnetic moments: {found}. Expected a vector (μ_B) per atom, of shape "
            f"({len(atoms)}, 3), zero on atoms that carry none: atoms.set_initial_magnetic_moments(moments)."
        )
    return moments
