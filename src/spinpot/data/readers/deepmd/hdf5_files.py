"""HDF5 files in deepmd-kit's layout: groups with type.raw, type_map.raw and set.* groups of arrays."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from spinpot.core.errors import InputError
from spinpot.core.files import refuse_placeholder
from spinpot.data.readers.deepmd.contents import StoredSet, contents, unused
from spinpot.data.readers.deepmd.npy_header import ArrayHeader, Layout, rows_at, version_of
from spinpot.data.readers.deepmd.stored import (
    PBC,
    Stored,
    about,
    checked_names,
    checked_pbc,
    checked_types,
    place,
)


def from_hdf5(file: Path, group: str) -> list[Stored]:
    """The systems of a file, or of one group in it. Raises InputError if there is none or it is damaged."""
    refuse_placeholder(file)
    if not h5py.is_hdf5(file):
        raise InputError(
            f"{file}: not an HDF5 file. Expected a system folder (give the folder, not a file in it) "
            "or an HDF5 file in deepmd's layout. Convert it first."
        )
    try:
        with h5py.File(file, "r") as root:
            if group and not isinstance(root.get(group), h5py.Group):
                raise InputError(f"{file}: no group {group}. The file has: {', '.join(root)}.")
            start = root[group] if group else root
            found = [_from_group(file, g) for g in _system_groups(start)]
    except (OSError, RuntimeError) as error:  # h5py raises these for truncated or damaged files
        raise InputError(f"{file}: damaged: {error}. Copy or write the file again.") from error
    if not found:
        raise InputError(
            f"{place(file, group)}: no system found. A system is a group with type.raw, type_map.raw and "
            "set.* groups, as dpdata's deepmd/hdf5 writes it."
        )
    return found


def _system_groups(group: h5py.Group) -> Iterator[h5py.Group]:
    if "type.raw" in group:
        yield group
        return
    if any(key.startswith("set.") for key in group):
        raise InputError(f"{_groupplace(group)}: frames but no type.raw. Write it: one type index per atom.")
    for child in group.values():
        if isinstance(child, h5py.Group):
            yield from _system_groups(child)


def _groupplace(group: h5py.Group) -> str:
    return place(Path(group.file.filename), group.name.strip("/"))


def _from_group(file: Path, group: h5py.Group) -> Stored:
    where = _groupplace(group)
    # dpdata joins the sets in the order of the keys, which need not be sorted.
    sets = tuple(_hdf5_set(f"{where}/{key}", group[key]) for key in group if key.startswith("set."))
    if not sets:
        raise InputError(f"{where}: no frames: no set.* group. Write the data again.")
    types = checked_types(np.asarray(group["type.raw"][()]).ravel(), f"{where}/type.raw")
    names = _hdf5_names(group, where) if "type_map.raw" in group else None
    numbers = [f"{x:g}" for x in np.ravel(group[PBC][()]).astype(float)] if PBC in group else None
    pbc = checked_pbc("nopbc" in group, numbers, f"{where}/{PBC}")
    others = (key for key in group if not key.startswith("set.") and not about(key) and key != "nopbc")
    beside = tuple(unused(key, "") for key in others if isinstance(group[key], h5py.Dataset))
    return Stored(file, group.name.strip("/"), "hdf5", types, names, pbc, sets, beside)


def _hdf5_set(where: str, group: h5py.Group) -> StoredSet:
    if not isinstance(group, h5py.Group):
        raise InputError(f"{where}: every set.* must be a group of arrays. Write the file again with dpdata.")
    arrays = {key: array for key, array in group.items() if isinstance(array, h5py.Dataset)}
    named = {
        key.removesuffix(".npy"): partial(_hdf5_header, f"{where}/{key}", array)
        for key, array in arrays.items()
        if key.endswith(".npy")
    }
    others = (unused(key, "") for key in arrays if not key.endswith(".npy"))
    return contents(where, named, ".npy", beside=others)


def _hdf5_header(where: str, array: h5py.Dataset) -> ArrayHeader:
    file, name, shape = array.file.filename, array.name, array.shape
    offset = array.id.get_offset()  # None if the array is chunked or compressed
    if offset is not None and shape and array.dtype.kind in "fiu":
        layout = Layout(offset + array.file.userblock_size, shape, array.dtype)
        return ArrayHeader(
            where, shape, array.dtype, partial(rows_at, file, version_of(os.stat(file)), layout)
        )

    def read(start: int, stop: int) -> np.ndarray:
        with h5py.File(file, "r") as root:
            return np.asarray(root[name][start:stop] if shape else root[name][()])

    return ArrayHeader(where, shape, array.dtype, read)


def _hdf5_names(group: h5py.Group, where: str) -> tuple[str, ...]:
    array = group["type_map.raw"]
    if h5py.check_string_dtype(array.dtype) is None:
        raise InputError(
            f"{where}/type_map.raw: not text. Expected the elements' names, as numpy.array(names, "
            'dtype="S"). Write it again.'
        )
    return checked_names([str(name) for name in np.ravel(array.asstr()[()])], f"{where}/type_map.raw")
