"""Finds the stored systems at a path, in any of the layouts."""

import os
from collections.abc import Iterator
from pathlib import Path

import h5py

from spinpot.core.console import counted
from spinpot.core.errors import InputError
from spinpot.data.readers.deepmd.folders import from_folder
from spinpot.data.readers.deepmd.hdf5_files import from_hdf5
from spinpot.data.readers.deepmd.lmdb_files import DATA, from_lmdb, is_lmdb
from spinpot.data.readers.deepmd.stored import Stored


def find_stored(path: str | Path) -> list[Stored]:
    """The systems at `path`: a deepmd folder, a folder of such folders, an HDF5 file or an LMDB database.

    `file.hdf5#group` is a part of an HDF5 file, `folder.lmdb#Ni2O2` the frames of one composition.

    A folder that holds no `type.raw` itself stands for all systems below it, in sorted order.
    Raises InputError if nothing is there, or if something is there that is not a readable system.
    """
    place = Path(path).expanduser()
    if place.is_dir():
        found = []
        folders = _system_folders(place, str(place.resolve()), set())
        for folder, there in counted(folders, f"Opening {place.name}"):
            found += from_lmdb(folder) if DATA in there else [from_folder(folder, there)]
        if not found:
            raise InputError(_nothing_in(place))
        return found
    if place.is_file():
        return from_lmdb(place.parent) if place.name == DATA else from_hdf5(place, "")
    file, mark, group = str(place).rpartition("#")
    if mark and Path(file).is_file():
        return from_hdf5(Path(file), group.strip("/"))
    if mark and is_lmdb(Path(file)):
        return from_lmdb(Path(file), group)
    raise InputError(
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


def _system_folders(folder: Path, resolved: str, seen: set[str]) -> Iterator[tuple[Path, set[str]]]:
    """`folder` if it is a system, else the systems below it, sorted, and what is in each; each place once."""
    if resolved in seen:
        return
    seen.add(resolved)
    there = {entry.name: entry for entry in os.scandir(folder)}
    if any(name in there and there[name].is_file() for name in ("type.raw", DATA)):
        yield folder, set(there)
        return
    if "coord.raw" in there or any(name.startswith("set.") for name in there):
        raise InputError(
            f"{folder}: frames but no type.raw. Expected a type.raw with one type index (0, 1, …) per atom "
            "and a type_map.raw with the elements' names. Write them."
        )
    for name in sorted(there):
        if there[name].is_dir():
            child = folder / name
            place = str(child.resolve()) if there[name].is_symlink() else f"{resolved}/{name}"
            yield from _system_folders(child, place, seen)
