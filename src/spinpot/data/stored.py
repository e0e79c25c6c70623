"""What lies on disk: finding stored systems, and their files, shapes and types before dpdata reads them.

dpdata's own errors name neither file nor frame, so everything that can be seen without loading the arrays
is collected here (`Stored`) and judged in `checks`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from spinpot.data.npy_header import ArrayHeader, npy_header
from spinpot.errors import InputError
from spinpot.files import refuse_placeholder

ARRAYS = ("coord", "box", "spin", "energy", "force", "force_mag", "virial")
"""deepmd-kit's names of the arrays that are read: `coord.npy`, `coord.raw`, …"""

REAL_TYPES = "real_atom_types"
"""The array of each frame's own atom types; a system that has it is in the mixed layout."""


@dataclass(frozen=True)
class StoredSet:
    """One `set.*` of a system (the raw layout counts as one set): its place and its arrays' headers."""

    where: str
    arrays: dict[str, ArrayHeader]

    @property
    def frames(self) -> int:
        """Frames of the set, by its coordinates."""
        return self.arrays["coord"].shape[0]


@dataclass(frozen=True, eq=False)
class Stored:
    """One stored system: a folder (layout `npy` or `raw`) or a group of an HDF5 file (`hdf5`)."""

    path: Path
    group: str
    layout: str
    types: np.ndarray  # (N,) int64, indices into names
    names: tuple[str, ...] | None  # type_map.raw, None if there is none
    nopbc: bool
    sets: tuple[StoredSet, ...]

    @property
    def where(self) -> str:
        """The place in words: the folder, or `file.hdf5#group`."""
        return _place(self.path, self.group)

    @property
    def mixed(self) -> bool:
        """Whether each frame brings its own atom types (deepmd's mixed layout)."""
        return any(REAL_TYPES in s.arrays for s in self.sets)

    def has(self, array: str) -> bool:
        """Whether any set holds `array` (`spin`, `virial`, …)."""
        return any(array in s.arrays for s in self.sets)

    def locate(self, array: str, frame: int) -> str:
        """File and frame, both as the user finds them on disk, of a frame counted over all sets."""
        for s in self.sets:
            if frame < s.frames:
                place = s.arrays[array].where if array in s.arrays else s.where
                return f"{place}, frame {frame}"
            frame -= s.frames
        raise IndexError(f"{self.where} has no frame that far")


def find_stored(path: str | Path) -> list[Stored]:
    """The systems at `path`: a deepmd folder, a folder of such folders, an HDF5 file, or `file.hdf5#group`.

    A folder that holds no `type.raw` itself stands for all systems below it, in sorted order.
    Raises InputError if nothing is there, or if something is there that is not a readable system.
    """
    place = Path(path).expanduser()
    if place.is_dir():
        found = [_from_folder(folder) for folder in _system_folders(place, set())]
        if not found:
            raise InputError(_nothing_in(place))
        return found
    if place.is_file():
        return _from_hdf5(place, "")
    file, mark, group = str(place).rpartition("#")
    if mark and Path(file).is_file():
        return _from_hdf5(Path(file), group.strip("/"))
    raise InputError(
        f"{place}: no such folder or file (looked for {place.absolute()}). Expected a system folder "
        "(type.raw and set.*), a folder of such folders, or an HDF5 file. Correct the path."
    )


def _place(path: Path, group: str) -> str:
    return f"{path}#{group}" if group else str(path)


def _nothing_in(folder: Path) -> str:
    if not any(folder.iterdir()):
        return f"{folder}: the folder is empty. Put a system there (type.raw and set.*), or correct the path."
    hint = ""
    if folder.suffix == ".lmdb" or (folder / "data.mdb").exists():
        hint = " LMDB databases are not read: convert with dpdata to deepmd/npy first."
    elif files := sorted(p.name for p in folder.iterdir() if p.is_file() and h5py.is_hdf5(p)):
        hint = f" HDF5 files are given by their own path: {files[0]}."
    return (
        f"{folder}: no system found here or below. A system is a folder with type.raw and set.* folders "
        f"(or coord.raw, box.raw, …).{hint} Correct the path, or convert the data first."
    )


def _system_folders(folder: Path, seen: set[Path]) -> Iterator[Path]:
    """`folder` if it is a system, else the systems below it, sorted; links are followed, each place once."""
    if folder.resolve() in seen:
        return
    seen.add(folder.resolve())
    if (folder / "type.raw").is_file():
        yield folder
        return
    if any(folder.glob("set.*")) or (folder / "coord.raw").exists():
        raise InputError(
            f"{folder}: frames but no type.raw. Expected a type.raw with one type index (0, 1, …) per atom "
            "and a type_map.raw with the elements' names. Write them."
        )
    for child in sorted(folder.iterdir()):
        if child.is_dir():
            yield from _system_folders(child, seen)


# ---- folders ----


def _from_folder(folder: Path) -> Stored:
    types = _read_types(folder / "type.raw")
    map_file = folder / "type_map.raw"
    names = _checked_names(_read_text(map_file).split(), str(map_file)) if map_file.is_file() else None
    sets = sorted(folder.glob("set.*"))
    if sets:
        layout, stored_sets = "npy", tuple(_npy_set(s) for s in sets)
    elif any((folder / f"{name}.raw").is_file() for name in ARRAYS):
        layout, stored_sets = "raw", (_raw_set(folder),)
    else:
        raise InputError(
            f"{folder}: no frames: neither a set.* folder nor coord.raw. Expected set.000/coord.npy, "
            "set.000/box.npy and so on. Correct the path, or write the data again."
        )
    return Stored(folder, "", layout, types, names, (folder / "nopbc").exists(), stored_sets)


def _npy_set(folder: Path) -> StoredSet:
    if not folder.is_dir():
        raise InputError(
            f"{folder}: every set.* must be a folder of .npy files, and this is a file. Unpack or remove it."
        )
    files = {name: folder / f"{name}.npy" for name in (*ARRAYS, REAL_TYPES)}
    return StoredSet(str(folder), {name: npy_header(f) for name, f in files.items() if f.is_file()})


def _raw_set(folder: Path) -> StoredSet:
    files = {name: folder / f"{name}.raw" for name in ARRAYS}
    return StoredSet(str(folder), {name: _raw_header(f) for name, f in files.items() if f.is_file()})


def _raw_header(file: Path) -> ArrayHeader:
    """Shape of a text file; it has to be parsed for it, which also finds the line that is not numbers."""
    table = _load_text(file, "one frame per line, numbers only, the same count in every line")
    return ArrayHeader(str(file), table.shape, table.dtype)


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
    return _checked_types(table.ravel(), str(file))


def _checked_types(types: np.ndarray, where: str) -> np.ndarray:
    """(N,) int64."""
    if types.size == 0:
        raise InputError(f"{where}: no atoms. Expected one type index (0, 1, …) per atom.")
    wrong = np.flatnonzero(~(np.isfinite(types) & (types >= 0) & (types == np.floor(types))))
    if wrong.size:
        raise InputError(
            f"{where}: atom {wrong[0]} has type {types[wrong[0]]:g}. Expected whole numbers from 0 on, "
            "indices into type_map.raw."
        )
    return types.astype(np.int64)


def _checked_names(names: list[str], where: str) -> tuple[str, ...]:
    if not names:
        raise InputError(f"{where}: empty. Expected the elements' names in the order of the type indices.")
    if len(set(names)) < len(names):
        raise InputError(
            f"{where}: the same name twice: {' '.join(names)}. Types are told apart by name: use distinct "
            "names, or give these atoms one type."
        )
    return tuple(names)


# ---- HDF5 ----


def _from_hdf5(file: Path, group: str) -> list[Stored]:
    refuse_placeholder(file)
    if not h5py.is_hdf5(file):
        raise InputError(
            f"{file}: a file that is not HDF5. Expected a system folder (give the folder, not a file in it) "
            "or an HDF5 file in deepmd's layout. Convert it first."
        )
    try:
        with h5py.File(file, "r") as root:
            if group and not isinstance(root.get(group), h5py.Group):
                raise InputError(f"{file}: no group {group}. The file has: {', '.join(root)}.")
            start = root[group] if group else root
            found = [_from_group(file, g) for g in _system_groups(start)]
    except (OSError, RuntimeError) as error:  # h5py's errors on cut or damaged files
        raise InputError(f"{file}: damaged: {error}. Copy or write the file again.") from error
    if not found:
        raise InputError(
            f"{_place(file, group)}: no system found. A system is a group with type.raw, type_map.raw and "
            "set.* groups, as dpdata's deepmd/hdf5 writes it."
        )
    return found


def _system_groups(group: h5py.Group) -> Iterator[h5py.Group]:
    if "type.raw" in group:
        yield group
        return
    if any(key.startswith("set.") for key in group):
        raise InputError(f"{_group_place(group)}: frames but no type.raw. Write it: one type index per atom.")
    for child in group.values():
        if isinstance(child, h5py.Group):
            yield from _system_groups(child)


def _group_place(group: h5py.Group) -> str:
    return _place(Path(group.file.filename), group.name.strip("/"))


def _from_group(file: Path, group: h5py.Group) -> Stored:
    where = _group_place(group)
    # The order of the keys, not the sorted one, is the order in which dpdata joins the sets.
    sets = tuple(_hdf5_set(f"{where}/{key}", group[key]) for key in group if key.startswith("set."))
    if not sets:
        raise InputError(f"{where}: no frames: no set.* group. Write the data again.")
    types = _checked_types(np.asarray(group["type.raw"][()]).ravel(), f"{where}/type.raw")
    names = _hdf5_names(group, where) if "type_map.raw" in group else None
    return Stored(file, group.name.strip("/"), "hdf5", types, names, "nopbc" in group, sets)


def _hdf5_set(where: str, group: h5py.Group) -> StoredSet:
    if not isinstance(group, h5py.Group):
        raise InputError(f"{where}: every set.* must be a group of arrays. Write the file again with dpdata.")
    headers = {
        name: ArrayHeader(f"{where}/{name}.npy", group[f"{name}.npy"].shape, group[f"{name}.npy"].dtype)
        for name in (*ARRAYS, REAL_TYPES)
        if f"{name}.npy" in group
    }
    return StoredSet(where, headers)


def _hdf5_names(group: h5py.Group, where: str) -> tuple[str, ...]:
    stored = group["type_map.raw"][()]
    if not isinstance(stored, np.ndarray) or stored.dtype.kind != "S":
        raise InputError(
            f"{where}/type_map.raw: dpdata reads names of fixed length only. "
            'Store them as numpy.array(names, dtype="S").'
        )
    return _checked_names([os.fsdecode(name) for name in stored.ravel()], f"{where}/type_map.raw")
