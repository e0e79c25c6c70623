"""Folders in deepmd-kit's layouts npy, mixed and raw."""

import warnings
from functools import partial
from pathlib import Path

import numpy as np

from spinpot.core.errors import InputError
from spinpot.data.readers.deepmd.contents import StoredSet, contents, unused
from spinpot.data.readers.deepmd.npy_header import ArrayHeader, npy_header
from spinpot.data.readers.deepmd.stored import PBC, Stored, about, checked_names, checked_pbc, checked_types
from spinpot.data.readers.names import ALIASES


def from_folder(folder: Path) -> Stored:
    """The system of a folder with type.raw. Raises InputError for what is no readable system."""
    types = _read_types(folder / "type.raw")
    map_file = folder / "type_map.raw"
    names = checked_names(_read_text(map_file).split(), str(map_file)) if map_file.is_file() else None
    sets = sorted(folder.glob("set.*"))
    beside: tuple[str, ...] = ()
    if sets:
        layout, stored_sets = "npy", tuple(_npy_set(s) for s in sets)
        beside = tuple(_others(folder, (".npy", ".npz", ".raw")))
    elif any((folder / f"{name}.raw").is_file() for aliases in ALIASES.values() for name in aliases):
        layout, stored_sets = "raw", (_raw_set(folder),)
    else:
        raise InputError(
            f"{folder}: no frames: neither a set.* folder nor coord.raw. Expected set.000/coord.npy, "
            "set.000/box.npy and so on. Correct the path, or write the data again."
        )
    pbc_file = folder / PBC
    numbers = _read_text(pbc_file).split() if pbc_file.is_file() else None
    pbc = checked_pbc((folder / "nopbc").exists(), numbers, str(pbc_file))
    return Stored(folder, "", layout, types, names, pbc, stored_sets, beside)


def _npy_set(folder: Path) -> StoredSet:
    if not folder.is_dir():
        raise InputError(
            f"{folder}: every set.* must be a folder of .npy files, and this is a file. Unpack or remove it."
        )
    files = {file.stem: partial(npy_header, file) for file in folder.glob("*.npy")}
    return contents(str(folder), files, ".npy", beside=_others(folder, (".npz", ".raw")))


def _raw_set(folder: Path) -> StoredSet:
    files = {file.stem: partial(_raw_header, file) for file in folder.glob("*.raw") if not about(file)}
    return contents(str(folder), files, ".raw", mixed=False, beside=_others(folder, (".npz", ".npy")))


def _others(folder: Path, endings: tuple[str, ...]) -> list[str]:
    """Lines on files of arrays in another format than the folder's."""
    files = (file for file in sorted(folder.iterdir()) if file.suffix in endings)
    return [unused(file.stem, file.suffix) for file in files if not about(file)]


def _raw_header(file: Path) -> ArrayHeader:
    """Shape of a text file; it has to be parsed for it, which also finds the line that is not numbers."""
    table = _load_text(file, "one frame per line, numbers only, the same count in every line")
    return ArrayHeader.of(str(file), table)


def _load_text(file: Path, expected: str) -> np.ndarray:
    """(lines, numbers per line); an empty file gives no lines."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # "no data": told as a missing frame later
            return np.loadtxt(file, ndmin=2)
    except (ValueError, OSError) as error:
        raise InputError(f"{file}: not readable: {error}. Expected {expected}. Write it again.") from error


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: not readable: {error}. Expected a text file. Write it again.") from error


def _read_types(file: Path) -> np.ndarray:
    """(N,) int64."""
    table = _load_text(file, "one type index (0, 1, …) per atom and line")
    if table.size and 1 not in table.shape:
        raise InputError(
            f"{file}: {table.shape[0]} lines of {table.shape[1]} numbers. Expected one type index per atom "
            "and line; a system's types are the same in every frame."
        )
    return checked_types(table.ravel(), str(file))
