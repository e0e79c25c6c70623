"""Folders in deepmd-kit's layouts npy, mixed and raw."""

import os
import warnings
from collections.abc import Collection, Iterable
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from spinpot.core.errors import InputError
from spinpot.data.readers.deepmd.contents import StoredSet, contents, unused
from spinpot.data.readers.deepmd.npy_header import ArrayHeader, npy_header
from spinpot.data.readers.deepmd.stored import PBC, Stored, about, checked_names, checked_pbc, checked_types
from spinpot.data.readers.names import ALIASES


def from_folder(folder: Path, there: Collection[str]) -> Stored:
    """The system in a folder. there: names of the folder's entries.

    Raises InputError if it is not a readable system.
    """
    where = str(folder)
    if "type.raw" not in there:
        raise InputError(
            f"{folder}: frames but no type.raw. Expected a type.raw with one type index (0, 1, …) per atom "
            "and a type_map.raw with the elements' names. Write them."
        )
    types = _read_types(f"{where}/type.raw")
    map_file, pbc_file = f"{where}/type_map.raw", f"{where}/{PBC}"
    names = checked_names(_read_text(map_file).split(), map_file) if "type_map.raw" in there else None
    sets = [f"{where}/{name}" for name in sorted(there) if name.startswith("set.")]
    beside: tuple[str, ...] = ()
    if sets:
        layout, stored_sets = "npy", tuple(map(_npy_set, sets))
        beside = tuple(_others(there, (".npy", ".npz", ".raw")))
    elif any(f"{name}.raw" in there for aliases in ALIASES.values() for name in aliases):
        layout, stored_sets = "raw", (_raw_set(where, there),)
    else:
        raise InputError(
            f"{folder}: no frames: neither a set.* folder nor coord.raw. Expected set.000/coord.npy, "
            "set.000/box.npy and so on. Correct the path, or write the data again."
        )
    numbers = _read_text(pbc_file).split() if PBC in there else None
    pbc = checked_pbc("nopbc" in there, numbers, pbc_file)
    return Stored(folder, "", layout, types, names, pbc, stored_sets, beside)


def _npy_set(where: str) -> StoredSet:
    try:
        there = os.listdir(where)
    except NotADirectoryError:
        raise InputError(
            f"{where}: every set.* must be a folder of .npy files, and this is a file. Unpack or remove it."
        ) from None
    files = {name[:-4]: partial(npy_header, f"{where}/{name}") for name in there if name.endswith(".npy")}
    return contents(where, files, ".npy", beside=_others(there, (".npz", ".raw")))


def _raw_set(where: str, there: Iterable[str]) -> StoredSet:
    names = (name for name in there if name.endswith(".raw") and not about(name))
    files = {name[:-4]: partial(_raw_header, f"{where}/{name}") for name in names}
    return contents(where, files, ".raw", mixed=False, beside=_others(there, (".npz", ".npy")))


def _others(there: Iterable[str], endings: tuple[str, ...]) -> list[str]:
    """Notes on arrays in another format than the folder's."""
    names = (name for name in sorted(there) if name.endswith(endings) and not about(name))
    return [unused(*os.path.splitext(name)) for name in names if name not in endings]


def _raw_header(file: str) -> ArrayHeader:
    """The header of a text file. The file must be parsed for its shape, which also finds invalid lines."""
    table = _load_text(file, "one frame per line, numbers only, the same count in every line")
    return ArrayHeader.of(file, table)


def _load_text(file: str, expected: str) -> np.ndarray:
    """The numbers (lines, numbers per line); an empty file has no lines."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # "no data": reported later as missing frames
            return np.loadtxt(file, ndmin=2)
    except (ValueError, OSError) as error:
        raise InputError(f"{file}: not readable: {error}. Expected {expected}. Write it again.") from error


def _read_text(file: str) -> str:
    try:
        return _text_of(file)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: not readable: {error}. Expected a text file. Write it again.") from error


def _text_of(file: str) -> str:
    with open(file, "rb", buffering=0) as opened:
        return opened.read().decode("utf-8")


def _read_types(file: str) -> np.ndarray:
    """(N,) int64."""
    with suppress(OSError, ValueError):  # the slower way below reports the error
        return _types_of(_text_of(file))
    table = _load_text(file, "one type index (0, 1, …) per atom and line")
    if table.size and 1 not in table.shape:
        raise InputError(
            f"{file}: {table.shape[0]} lines of {table.shape[1]} numbers. Expected one type index per atom "
            "and line; a system's types are the same in every frame."
        )
    return checked_types(table.ravel(), file)


@lru_cache  # many systems of a data set have the same atoms
def _types_of(text: str) -> np.ndarray:
    """The types (N,). Raises ValueError unless each line is one index."""
    types = np.array(text.split("\n")[: -1 if text.endswith("\n") else None]).astype(np.int64)
    if not types.size or types.min() < 0:
        raise ValueError
    types.setflags(write=False)
    return types
