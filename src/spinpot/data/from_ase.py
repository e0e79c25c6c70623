"""Converts ase.Atoms with vector moments to a System of one frame, and back."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from spinpot.core.errors import InputError
from spinpot.data.frame_checks import check_cells, check_finite
from spinpot.data.readers.ase_formats import raw_frame
from spinpot.data.readers.moments import Moments, find_moments
from spinpot.data.readers.reader import Wanted
from spinpot.data.systems import System


def moments_of(
    atoms: Atoms, name: str, moments: str | None = None, moment_unit: str | None = None
) -> Moments:
    """The moments (N, 3), μ_B, from the column `moments`; if it is None, from the one find_moments chooses.

    moment_unit: as in Wanted. Raises InputError as find_moments does.
    """
    check_some(atoms, name)
    wanted = wanted_moments(moments, moment_unit)
    return find_moments(raw_frame(atoms).columns, len(atoms), name, wanted)


def check_some(atoms: Atoms, name: str) -> None:
    """Raise InputError for a structure without atoms."""
    if not len(atoms):
        raise InputError(f"{name}: holds no atoms. Expected at least one.")


def wanted_moments(moments: str | None, moment_unit: str | None) -> Wanted:
    """The user's choice of the moments' column and unit; messages name keywords instead of flags."""
    return Wanted(columns={"spin": moments} if moments else {}, moment_unit=moment_unit, keywords=True)


def system_from_atoms(
    atoms: Atoms,
    name: str = "atoms",
    spin: np.ndarray | None = None,
    type_map: Sequence[str] | None = None,
) -> System:
    """One unlabelled frame; the atoms keep their order.

    spin: (N, 3), μ_B; None: those of moments_of. type_map: None: the atoms' elements in alphabetical order.
    Raises InputError if there are no atoms or no moments, if periodic lattice vectors are linearly dependent,
    or if a number is not finite.
    """
    check_some(atoms, name)
    symbols = atoms.get_chemical_symbols()
    type_map = tuple(type_map or sorted(set(symbols)))
    spin = moments_of(atoms, name).values if spin is None else spin
    given = {"box": atoms.cell.array, "coord": atoms.positions, "spin": spin}
    frame = {name: np.array(values, dtype=np.float64)[None] for name, values in given.items()}
    a, b, c = atoms.pbc.tolist()
    system = System(
        name=name,
        path=Path(name),
        type_map=type_map,
        types=np.array([type_map.index(symbol) for symbol in symbols], dtype=np.int64),
        pbc=(a, b, c),
        stored=None,
        **frame,
    )
    check_finite(system)
    check_cells(system)
    return system


def atoms_of(system: System, frame: int) -> Atoms:
    """One frame of a system with its moments, without its labels."""
    structure = {"positions": system.coord[frame], "cell": system.box[frame], "magmoms": system.spin[frame]}
    return Atoms(system.elements, pbc=system.pbc, **structure)


def with_columns(
    atoms: Atoms, force: np.ndarray | None = None, force_mag: np.ndarray | None = None, **numbers: Any
) -> Atoms:
    """The structure with the columns spin, forces and mforce, as in extxyz files; every reader knows them.

    numbers: entries of the frame, such as energy and virial.
    """
    made = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    columns = {"spin": atoms.get_initial_magnetic_moments(), "forces": force, "mforce": force_mag}
    made.arrays |= {name: values for name, values in columns.items() if values is not None}
    made.info |= numbers
    return made
