"""ase.Atoms with vector moments → a System of one frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms

from spinpot.data.readers.ase_formats import raw_frame
from spinpot.data.readers.moments import Moments, find_moments
from spinpot.data.readers.reader import Wanted
from spinpot.data.systems import System
from spinpot.errors import InputError


def moments_of(atoms: Atoms, name: str, moments: str | None = None) -> Moments:
    """The moments (N, 3), μ_B: of the column `moments`, else as find_moments chooses.

    Raises InputError as find_moments does.
    """
    wanted = Wanted(columns={"spin": moments} if moments else {}, moment_unit="mu_B", keywords=True)
    return find_moments(raw_frame(atoms).columns, len(atoms), name, wanted)


def system_from_atoms(atoms: Atoms, name: str = "atoms", moments: str | None = None) -> System:
    """One unlabelled frame; its type map lists the elements in alphabetical order, the atoms keep theirs.

    The spins (μ_B) are those of moments_of. Raises InputError without such vectors, if the cell is not
    periodic in all directions, or if a number is not finite.
    """
    symbols = atoms.get_chemical_symbols()
    type_map = tuple(sorted(set(symbols)))
    spin = moments_of(atoms, name, moments).values
    frame = {"box": atoms.cell.array, "coord": atoms.positions, "spin": spin}
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
