"""Finds and opens the stored systems at some paths, in any of deepmd-kit's layouts."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path

import h5py

from spinpot.core.errors import InputError
from spinpot.core.shares import ALONE, Processes, by_threads, shared
from spinpot.data.readers.deepmd.folders import from_folder
from spinpot.data.readers.deepmd.hdf5_files import from_hdf5
from spinpot.data.readers.deepmd.lmdb_files import DATA, from_lmdb, is_lmdb
from spinpot.data.readers.deepmd.stored import Stored

Opens = partial[list[Stored]]
"""Opens the systems at one place. Raises InputError if there is no readable system."""


def find_stored(paths: Sequence[str | Path], processes: Processes = ALONE) -> list[Stored]:
    """The systems at paths: deepmd folders, folders of such folders, HDF5 files or LMDB databases.

    `file.hdf5#group` selects a group of an HDF5 file, `folder.lmdb#Ni2O2` the frames of one composition.
    A folder without `type.raw` stands for all systems below it, in sorted order.
    Raises InputError if a path does not exist, or holds no readable system.
    """
    places = [place for path in paths for place in _places(Path(path).expanduser())]
    found: list[list[Stored]] = []
    for are_folders, group in groupby(places, lambda place: place.func is _opened):
        some = list(group)
        found += shared(_open, some, "Opening systems", processes) if are_folders else map(_open, some)
    return [one for systems in found for one in systems]


def _open(place: Opens) -> list[Stored]:
    return place()


def _places(place: Path) -> list[Opens]:
    """Functions that open the systems at a path."""
    if place.is_dir():
        return list(_below(place)) or [partial(_refuse, _nothing_in, place)]
    if place.is_file():
        return [partial(from_lmdb, place.parent) if place.name == DATA else partial(from_hdf5, place, "")]
    file, mark, group = str(place).rpartition("#")
    if mark and Path(file).is_file():
        return [partial(from_hdf5, Path(file), group.strip("/"))]
    if mark and is_lmdb(Path(file)):
        return [partial(from_lmdb, Path(file), group)]
    return [partial(_refuse, _no_such, place)]


def _refuse(why: Callable[[Path], str], place: Path) -> list[Stored]:
    raise InputError(why(place))


def _no_such(place: Path) -> str:
    return (
        f"{place}: no such folder or file (looked for {place.absolute()}). Expected a system folder "
        "(type.raw and set.*), a folder of such folders, an HDF5 file or an LMDB database. Correct the path."
    )


def _nothing_in(folder: Path) -> str:
    if not any(folder.iterdir()):
        return f"{folder}: the folder is empty. Put a system there (type.raw and set.*), or correct the path."
    hint = ""
    if files := sorted(p.name for p in folder.iterdir() if p.is_file() and h5py.is_hdf5(p)):
        hint = f" HDF5 files are given by their own path: {files[0]}."
    return (
        f"{folder}: no system found here or below. A system is a folder with type.raw and set.* folders "
        f"(or coord.raw, box.raw, …).{hint} Correct the path, or convert the data first."
    )


def _below(top: Path) -> Iterator[Opens]:
    """Functions that open a system folder, or the systems below it, in sorted order; each place once."""
    real = str(top.resolve())
    listed, seen = _listings(real), set[str]()
    waiting = [(str(top), real)]
    while waiting:
        folder, place = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        there = listed[place]
        if DATA in there and not there[DATA]:
            yield partial(from_lmdb, Path(folder))
        elif _is_system(there):
            yield partial(_opened, folder, set(there))
        else:
            children = ((os.path.join(folder, name), there[name]) for name in sorted(there, reverse=True))
            waiting += ((child, child_place) for child, child_place in children if child_place)


def _opened(folder: str, there: set[str]) -> list[Stored]:
    return [from_folder(Path(folder), there)]


def _is_system(there: Mapping[str, str]) -> bool:
    """Whether a folder with these contents is a system; from_folder raises if its type.raw is missing."""
    if any(name in there and not there[name] for name in ("type.raw", DATA)):
        return True
    return "coord.raw" in there or any(name.startswith("set.") for name in there)


def _listings(top: str) -> dict[str, dict[str, str]]:
    """{real path: _listing} for a folder and the folders below it, except those inside systems."""
    found: dict[str, dict[str, str]] = {}
    level = [top]
    while level:
        new = dict(zip(level, by_threads(_listing, level, f"Looking into {top}"), strict=True))
        found |= new
        inner = (place for there in new.values() if not _is_system(there) for place in there.values())
        level = [place for place in dict.fromkeys(inner) if place and place not in found]
    return found


def _listing(folder: str) -> dict[str, str]:
    """{name: real path} for every entry of a folder; the path is empty unless the entry is a folder."""
    with os.scandir(folder) as entries:
        return {entry.name: _real(entry) if entry.is_dir() else "" for entry in entries}


def _real(entry: os.DirEntry[str]) -> str:
    return os.path.realpath(entry.path) if entry.is_symlink() else entry.path
