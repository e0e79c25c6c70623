"""The structure to analyse: of a file that ase reads, with vectors as moments, or of a system of frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.io.formats import UnknownFileTypeError

from spinpot.data.foreign import SPINS
from spinpot.data.from_ase import system_from_atoms
from spinpot.data.systems import System, read_systems
from spinpot.errors import InputError


def read_structure(source: str, type_map: Sequence[str]) -> Atoms:
    """The atoms, with their moments (N, 3) in μ_B as initial magnetic moments.

    source: a file or a system's folder, with `@NUMBER` for another frame than the first, as in ase.
    type_map: the elements the model knows.

    Raises InputError for what cannot be read, for frames that are not there, for a structure without moments
    or with none but zeros, for one that is not periodic, and for elements the model does not know.
    """
    path, frame = _split(source)
    if not path.exists():
        raise InputError(f"structure={source}: no such file or folder. Correct the path.")
    is_system = path.is_dir() or path.suffix in (".hdf5", ".h5")
    atoms = _of_a_system(path, frame, type_map) if is_system else _of_a_file(path, frame)
    system_from_atoms(atoms, f"structure={source}")  # refuses what is no periodic structure with moments
    unknown = sorted(set(atoms.get_chemical_symbols()) - set(type_map))
    if unknown:
        raise InputError(
            f"structure={source}: holds {' '.join(unknown)}, which the model does not know (its elements: "
            f"{' '.join(type_map)}). Give another structure or checkpoint."
        )
    if not np.any(atoms.get_initial_magnetic_moments()):
        raise InputError(
            f"structure={source}: all moments are zero. Expected a vector (μ_B) for each magnetic atom: the "
            "state to analyse."
        )
    return atoms


def atoms_of(system: System, frame: int) -> Atoms:
    """One frame of a system as ase.Atoms."""
    symbols = [system.type_map[kind] for kind in system.types]
    made = Atoms(symbols, positions=system.coord[frame], cell=system.box[frame], pbc=True)
    made.set_initial_magnetic_moments(system.spin[frame])
    return made


def _split(source: str) -> tuple[Path, int]:
    """The path and the frame's number; a path that really holds an @ is left whole."""
    path, _, frame = source.rpartition("@")
    if path and frame.isdigit() and not Path(source).expanduser().exists():
        return Path(path).expanduser(), int(frame)
    return Path(source).expanduser(), 0


def _of_a_system(path: Path, frame: int, type_map: Sequence[str]) -> Atoms:
    systems = read_systems([path], type_map)
    if len(systems) > 1:
        names = ", ".join(system.name for system in systems)
        raise InputError(f"structure={path}: holds {len(systems)} systems ({names}). Give one of them.")
    _check_frame(path, frame, len(systems[0]))
    return atoms_of(systems[0], frame)


def _of_a_file(path: Path, frame: int) -> Atoms:
    try:
        frames: Any = ase.io.read(path, index=":")
    except UnknownFileTypeError as error:
        raise InputError(
            f"structure={path}: of a format that ase does not know ({error}). Expected extxyz with a column "
            "spin:R:3, or a folder of frames."
        ) from error
    except Exception as error:  # whatever a reader of ase stumbles over
        raise InputError(
            f"structure={path}: could not be read ({type(error).__name__}: {error}). Check the file."
        ) from error
    _check_frame(path, frame, len(frames))
    atoms: Atoms = frames[frame]
    moments = _moments(atoms)
    if moments is None or moments.shape != (len(atoms), 3):
        found = "no moments" if moments is None else f"moments of shape {moments.shape}"
        raise InputError(
            f"structure={path}: {found}. Expected a vector (μ_B) per atom, zero on atoms that carry none: in "
            f"extxyz a column spin:R:3, or one of {', '.join(SPINS[1:])}."
        )
    made = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    made.set_initial_magnetic_moments(moments)
    return made


def _moments(atoms: Atoms) -> np.ndarray | None:
    results = atoms.calc.results if atoms.calc is not None else {}
    return next((atoms.arrays[name] for name in SPINS if name in atoms.arrays), results.get("magmoms"))


def _check_frame(path: Path, frame: int, frames: int) -> None:
    if frame >= frames:
        raise InputError(f"structure={path}@{frame}: there are {frames} frames, from 0 on. Give another.")
