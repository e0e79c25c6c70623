"""LMDB databases as dpdata and deepmd-kit write them: one msgpack record of arrays per frame, no pickles."""

from __future__ import annotations

import os
from functools import lru_cache, partial
from pathlib import Path
from threading import Lock
from typing import Any

import lmdb
import msgpack
import numpy as np

from spinpot.core.console import counted
from spinpot.core.errors import InputError
from spinpot.core.files import refuse_placeholder
from spinpot.data.cell import CLUSTER, PERIODIC
from spinpot.data.readers.deepmd.contents import contents
from spinpot.data.readers.deepmd.npy_header import ArrayHeader, Version, version_of
from spinpot.data.readers.deepmd.stored import Stored, checked_names, checked_types, place
from spinpot.data.readers.names import ALIASES, OF_DPDATA

DATA = "data.mdb"
ABOUT = {"atom_types", "atom_numbs"}  # entries of a frame that are not arrays of a System
OF_ATOMS = {name for array in ("coord", "spin", "force", "force_mag") for name in ALIASES[array]}
ORDER = "LMDB: frames are in dpdata's order, by composition, and atoms by type"
OPEN_DATABASES = 50  # most recently used databases that stay open
LAST_FRAMES = 64  # decoded frames in the cache, since their arrays are read one by one

Arrays = dict[str, Any]
"""The arrays of a frame, by their names in the database."""


def is_lmdb(folder: Path) -> bool:
    """Whether a folder is an LMDB database."""
    return (folder / DATA).is_file()


def from_lmdb(folder: Path, group: str = "") -> list[Stored]:
    """One system per composition, its atoms sorted by type as in dpdata; group: only one, e.g. Ni2O2.

    Every frame is decoded once to find its composition; its arrays are read when they are used. Raises
    InputError for a database that cannot be read.
    """
    refuse_placeholder(folder / DATA)
    database = _database(os.path.realpath(folder))
    try:
        found = _compositions(folder, database)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(
            f"{folder}: cannot be read as a database of deepmd-kit: {error}. Check the file, "
            "or write it again."
        ) from error
    if not group:
        return found
    chosen = [one for one in found if one.group == group]
    if not chosen:
        raise InputError(f"{folder}: no {group}. The database has: {', '.join(one.group for one in found)}.")
    return chosen


class _Database:
    """An open database. Raises InputError if it is truncated: a missing page would crash the process."""

    def __init__(self, folder: str) -> None:
        file = Path(folder) / DATA
        try:
            self.environment = lmdb.open(folder, readonly=True, lock=False, readahead=False)
        except lmdb.Error as error:
            raise InputError(
                f"{file}: cannot be opened as an LMDB database ({error}). Copy or write it again."
            ) from error
        self.version = version_of(file.stat())
        needed = (self.environment.info()["last_pgno"] + 1) * self.environment.stat()["psize"]
        if self.version.size < needed:
            raise InputError(
                f"{file}: truncated: {self.version.size} bytes, where its header promises {needed}. Copy the "
                "file again."
            )

    def record(self, key: str) -> Arrays:
        """The decoded record. Raises ValueError if it is missing or cannot be decoded."""
        try:
            with self.environment.begin() as transaction:
                return dict(msgpack.unpackb(transaction.get(key.encode()), object_hook=_decoded))
        except (lmdb.Error, msgpack.UnpackException, TypeError, ValueError) as error:
            raise ValueError(f"{key}: {type(error).__name__}: {error}") from error


def _decoded(record: dict[str | bytes, Any]) -> Any:
    """A msgpack mapping: the array it encodes, or the mapping with its keys as str."""
    named = {key.decode() if isinstance(key, bytes) else key: value for key, value in record.items()}
    if "data" not in named or "type" not in named:
        return named
    values = np.frombuffer(named["data"], np.dtype(named["type"]))
    return values.reshape(named["shape"]) if "shape" in named else values


_opened = lru_cache(OPEN_DATABASES)(_Database)
_one_at_a_time = Lock()  # lmdb must not open a database twice in one process


def _database(folder: str, version: Version | None = None) -> _Database:
    """The open database. version: the expected one; OSError is raised if the file has changed."""
    present = version_of(os.stat(os.path.join(folder, DATA)))
    if version not in (None, present):
        raise OSError("it has changed since it was first opened")
    with _one_at_a_time:
        if _opened(folder).version != present:
            _opened.cache_clear()
        return _opened(folder)


def _compositions(folder: Path, database: _Database) -> list[Stored]:
    """One system per composition. Raises ValueError for frames that cannot be decoded, or whose arrays differ
    from those of other frames of the composition.
    """
    about = database.record("__metadata__")
    keys, n_frames = about.get("frame_idx_fmt") or "012d", about["nframes"]
    alike: dict[bytes, np.ndarray] = {}  # stored types → sorted types
    kinds: dict[bytes, Arrays] = {}
    numbers: dict[bytes, list[int]] = {}
    for number in counted(range(n_frames), folder.name, n_frames):
        record = database.record(key := format(number, keys))
        stored = record["atom_types"].tobytes()
        if stored not in alike:
            alike[stored] = np.sort(checked_types(record["atom_types"], f"{folder}, frame {key}"))
        arrays = {name: (array.dtype, array.shape) for name, array in record.items() if name not in ABOUT}
        if kinds.setdefault(kind := alike[stored].tobytes(), arrays) != arrays:
            raise ValueError(f"frame {key} has other arrays than an earlier frame with the same atoms")
        numbers.setdefault(kind, []).append(number)
    if not numbers:
        raise ValueError("no frames")
    rows = partial(_rows, os.path.realpath(folder), database.version, keys)
    return [
        _stored(folder, about, np.frombuffer(kind, np.int64), kinds[kind], partial(rows, np.array(own)))
        for kind, own in numbers.items()
    ]


def _stored(
    folder: Path, about: Arrays, types: np.ndarray, arrays: Arrays, rows: partial[np.ndarray]
) -> Stored:
    """The frames of one composition. rows: reads (name, start, stop)."""
    present, counts = np.unique(types, return_counts=True)
    names = [about["type_map"][kind] for kind in present] if about.get("type_map") else None
    labels = zip(names or [f"Type_{kind}" for kind in present], counts, strict=True)
    where = place(folder, group := "".join(f"{name}{count}" for name, count in labels))
    n_frames, other_names = len(rows.args[-1]), about.get("dp_data_names", {})
    headers = {
        OF_DPDATA.get(named := other_names.get(name, name), named): (name, dtype, (n_frames, *shape))
        for name, (dtype, shape) in arrays.items()
    }
    return Stored(
        path=folder,
        group=group,
        layout="lmdb",
        types=np.searchsorted(present, types) if names else types,
        names=checked_names(names, where) if names else None,
        pbc=PERIODIC if "box" in headers else CLUSTER,
        sets=(
            contents(
                where,
                {
                    key: partial(ArrayHeader, f"{where}/{key}", shape, dtype, partial(rows, name))
                    for key, (name, dtype, shape) in headers.items()
                },
                "",
                mixed=False,
            ),
        ),
        beside=(ORDER,),
    )


def _rows(
    folder: str, version: Version, keys: str, numbers: np.ndarray, name: str, start: int, stop: int
) -> np.ndarray:
    of_frames = (_arrays(folder, version, format(number, keys)) for number in numbers[start:stop].tolist())
    return np.stack([arrays[name] for arrays in of_frames])


@lru_cache(LAST_FRAMES)
def _arrays(folder: str, version: Version, key: str) -> Arrays:
    """The arrays of a frame, its atoms sorted by type."""
    record = _database(folder, version).record(key)
    order = np.argsort(record["atom_types"], kind="stable")
    sorted_ = {name: record[name].reshape(len(order), -1)[order] for name in OF_ATOMS & record.keys()}
    return record | sorted_
