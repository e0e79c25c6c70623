"""Reads the frames at a path with the reader that recognises their format."""

from collections.abc import Iterator
from pathlib import Path

import h5py

from spinpot.core.errors import InputError
from spinpot.core.notes import Notes
from spinpot.data.readers.abacus import Abacus
from spinpot.data.readers.ase_formats import ASE_READERS
from spinpot.data.readers.deepmd.lmdb_files import DATA
from spinpot.data.readers.lammps_data import LammpsData
from spinpot.data.readers.lammps_dump import LammpsDump
from spinpot.data.readers.old_layout import OldLayout
from spinpot.data.readers.reader import Reader, Wanted, refuse_choices
from spinpot.data.readers.vasp import Vasp
from spinpot.data.systems import System, read_systems


class DeepmdLayouts:
    """All layouts of deepmd-kit and dpdata except the old one."""

    name = "npy"
    what = "deepmd-kit's npy, raw, mixed, HDF5 and LMDB"
    runs = False

    def knows(self, path: Path) -> bool:
        """A folder with types, sets or a database, a file of a database, or an HDF5 file."""
        if path.is_dir():
            files = ("type.raw", "coord.raw", DATA)
            return any((path / name).exists() for name in files) or any(path.glob("set.*"))
        return path.is_file() and (path.name == DATA or h5py.is_hdf5(path))

    def read(self, place: Path, wanted: Wanted, notes: Notes) -> list[System]:
        """Every system at a place, as training reads them."""
        refuse_choices(place, wanted)
        return read_systems([place], wanted.elements or None, wanted.non_magnetic, notes)


READERS: dict[str, Reader] = {
    reader.name: reader
    for reader in (DeepmdLayouts(), OldLayout(), *ASE_READERS, Abacus(), Vasp(), LammpsDump(), LammpsData())
}
"""The readers by their --format names, in order: the first one that recognises a place reads it."""


def read_frames(path: Path, format_name: str, wanted: Wanted, notes: Notes) -> list[System]:
    """The systems at a path, or at all places of a known format below it.

    format_name: one of READERS, or `auto`. If a calculation's output cannot be read, a note says so, and the
    others are read. Raises InputError for unusable frames, and if nothing is found.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder. Correct the path.")
    readers = list(READERS.values()) if format_name == "auto" else [READERS[format_name]]
    places = list(_places(path, readers)) or _as_told(path, format_name)
    systems, failed = [], []
    for reader, place in places:
        try:
            systems += _read(reader, place, wanted, notes)
        except InputError as error:
            if not reader.runs or len(places) == 1:
                raise
            failed.append(str(error))
            notes.add(f"not read: {str(error).removeprefix(f'{place}: ')}", str(place))
    if failed and not systems:
        raise InputError(f"{path}: none of {len(failed)} runs could be read. The first: {failed[0]}")
    return systems


def _places(
    path: Path, readers: list[Reader], seen: frozenset[Path] = frozenset()
) -> Iterator[tuple[Reader, Path]]:
    """(reader, place) for a path, or the places below it, in sorted order; link cycles are not followed."""
    for reader in readers:
        if reader.knows(path):
            yield reader, path
            return
    if path.is_dir() and path.resolve() not in seen:
        for child in sorted(path.iterdir()):
            yield from _places(child, readers, seen | {path.resolve()})


def _as_told(path: Path, format_name: str) -> list[tuple[Reader, Path]]:
    """The path with the reader that the user names. Raises InputError for `auto`: no reader recognised it."""
    if format_name != "auto":
        return [(READERS[format_name], path)]
    known = "\n".join(f"  {reader.name}: {reader.what}" for reader in READERS.values())
    raise InputError(
        f"{path}: {'no file in it has' if path.is_dir() else 'does not have'} a known format. If it has one "
        f"of these, name it: --format NAME.\n{known}"
    )


def _read(reader: Reader, place: Path, wanted: Wanted, notes: Notes) -> list[System]:
    try:
        return reader.read(place, wanted, notes)
    except InputError:
        raise
    except Exception as error:  # the readers of ase and dpdata may raise anything
        raise InputError(
            f"{place}: could not be read as {reader.name} ({type(error).__name__}: {error}). Check the file, "
            f"or name another format: --format {' or '.join(READERS)}."
        ) from error
