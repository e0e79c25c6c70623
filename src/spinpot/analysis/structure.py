"""Reads the structure to analyse: a file that ase reads, with vector moments, or a frame of a system."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms

from spinpot.core.console import print_line
from spinpot.core.errors import InputError
from spinpot.core.notes import Notes, shortened
from spinpot.data.from_ase import atoms_of, system_from_atoms, wanted_moments
from spinpot.data.readers.ase_formats import ASE_READERS, raw_frame
from spinpot.data.readers.frames import RawFrame
from spinpot.data.readers.moments import check_lengths, find_moments
from spinpot.data.readers.reader import Wanted
from spinpot.data.systems import read_systems


def read_structure(
    source: str, type_map: Sequence[str], moments: str | None = None, moment_unit: str | None = None
) -> Atoms:
    """The atoms, with moments (N, 3) in μ_B as initial magnetic moments.

    source: a file or the folder of a system; `@NUMBER` selects another frame than the first, as in ase.
    type_map: the elements of the model. moments: the column of the file with the moments. moment_unit: the
    unit of moments of length 1, `mu_B` or `direction`.

    Raises InputError if the structure or frame cannot be read, has an invalid cell, no or only zero moments,
    or elements that the model does not know.
    """
    path, frame = _split(source)
    if not path.exists():
        raise InputError(f"structure={source}: no such file or folder. Correct the path.")
    if path.is_dir() or path.suffix in (".hdf5", ".h5"):
        atoms = _of_a_system(path, frame, type_map)
    else:
        atoms = _of_a_file(path, frame, wanted_moments(moments, moment_unit))
    system_from_atoms(atoms, f"structure={source}")  # raises InputError if it is no structure with moments
    unknown = sorted(set(atoms.get_chemical_symbols()) - set(type_map))
    if unknown:
        raise InputError(
            f"structure={source}: holds {' '.join(unknown)}, which the model does not know (its elements: "
            f"{' '.join(type_map)}). Give another structure or checkpoint."
        )
    if not np.any(atoms.get_initial_magnetic_moments()):
        raise InputError(
            f"structure={source}: all moments are zero. Give the state to analyse: a vector (μ_B) for each "
            "magnetic atom."
        )
    return atoms


def magnetic(atoms: Atoms, elements: Collection[str]) -> Atoms:
    """A copy without the moments that the model ignores: those on other elements than `elements`.

    Otherwise each of them would be a magnetic atom without exchange, a spin wave of zero energy. Raises
    InputError if no moment is left.
    """
    made: Atoms = atoms.copy()
    moments = np.array(atoms.get_initial_magnetic_moments(), dtype=np.float64)
    moments[~np.isin(atoms.get_chemical_symbols(), list(elements))] = 0.0
    if not moments.any():
        raise InputError(
            f"structure: only atoms of other elements have moments, but the model treats only "
            f"{' '.join(elements)} as magnetic. Give a structure with moments on {' or '.join(elements)}."
        )
    made.set_initial_magnetic_moments(moments)
    return made


def _split(source: str) -> tuple[Path, int]:
    """The path and the number of the frame; an existing path that contains @ is not split."""
    path, _, frame = source.rpartition("@")
    if path and frame.isdigit() and not Path(source).expanduser().exists():
        return Path(path).expanduser(), int(frame)
    return Path(source).expanduser(), 0


def _of_a_system(path: Path, frame: int, type_map: Sequence[str]) -> Atoms:
    systems = read_systems([path], type_map)
    if len(systems) > 1:
        names = shortened([system.name for system in systems])
        raise InputError(f"structure={path}: holds {len(systems)} systems ({names}). Give one of them.")
    _check_frame(path, frame, len(systems[0]))
    return atoms_of(systems[0], frame)


def _of_a_file(path: Path, frame: int, wanted: Wanted) -> Atoms:
    try:
        frames = _frames(path)
    except InputError:
        raise
    except Exception as error:  # ase's readers raise many types of errors
        raise InputError(
            f"structure={path}: could not be read ({type(error).__name__}: {error}). Check the file. "
            "Expected extxyz with a column spin:R:3, another of ase's formats, or a folder of frames."
        ) from error
    _check_frame(path, frame, len(frames))
    raw, where = frames[frame], f"structure={path}"
    found = find_moments(raw.columns, len(raw.symbols), where, wanted)
    check_lengths([found.values], where, wanted)
    print_line(f"Moments: {found.source}.")
    made = Atoms(raw.symbols, positions=raw.coord, cell=raw.box, pbc=raw.pbc)
    made.set_initial_magnetic_moments(found.values)
    return made


def _frames(path: Path) -> list[RawFrame]:
    """The frames of a file, read by spinpot's reader for its format if there is one, else by ase."""
    import ase.io

    from spinpot.data.readers.vasp import Vasp

    for reader in ASE_READERS:
        if reader.knows(path):
            return list(reader.frames(path))
    if Vasp().knows(path):
        notes = Notes()
        frames = list(Vasp().frames(path, Wanted(keywords=True), notes))
        notes.print()
        return frames
    return [raw_frame(atoms) for atoms in ase.io.iread(path, index=":")]


def _check_frame(path: Path, frame: int, frames: int) -> None:
    if frame >= frames:
        raise InputError(
            f"structure={path}@{frame}: there are only {frames} frames, numbered from 0. Give another number."
        )
