"""LMDB databases as dpdata and deepmd-kit write them: one msgpack record of arrays per frame, no pickles."""

from functools import partial
from pathlib import Path
from typing import Any

import lmdb
import numpy as np

from spinpot.core.errors import InputError
from spinpot.core.files import refuse_placeholder
from spinpot.data.cell import CLUSTER, PERIODIC
from spinpot.data.readers.deepmd.contents import contents
from spinpot.data.readers.deepmd.npy_header import ArrayHeader
from spinpot.data.readers.deepmd.stored import Stored, checked_names, checked_types, place
from spinpot.data.readers.names import OF_DPDATA

DATA = "data.mdb"
ABOUT = {"atom_names", "atom_numbs", "atom_types", "orig", "nopbc"}  # what else dpdata gives of a system
ORDER = "LMDB: frames are in dpdata's order, by composition, and atoms by type"


def is_lmdb(folder: Path) -> bool:
    """Whether a folder is a database."""
    return (folder / DATA).is_file()


def from_lmdb(folder: Path, group: str = "") -> list[Stored]:
    """A system of each composition, its atoms sorted by type as dpdata does; group: one of them, e.g. Ni2O2.

    The frames are in memory until they are read. Raises InputError for a database that dpdata cannot read.
    """
    _check(folder)
    from dpdata.formats.deepmd.lmdb.format import LMDBError, LMDBFormat  # here: dpdata is slow to import

    try:
        data = list(LMDBFormat().from_multi_systems(str(folder), max_frames=None))
    except (LMDBError, lmdb.Error, OSError, TypeError, ValueError, LookupError) as error:
        raise InputError(
            f"{folder}: dpdata could not read it as deepmd/lmdb: {type(error).__name__}: {error} Check the "
            "file, or write it again."
        ) from error
    found = [_stored(folder, one) for one in data]
    if not group:
        return found
    chosen = [one for one in found if one.group == group]
    if not chosen:
        raise InputError(f"{folder}: no {group}. The database has: {', '.join(one.group for one in found)}.")
    return chosen


def _check(folder: Path) -> None:
    """Refuse what is no database, and one that is cut short, whose missing pages would end the process."""
    file = folder / DATA
    refuse_placeholder(file)
    try:
        with lmdb.open(str(folder), readonly=True, lock=False) as database:
            needed = (database.info()["last_pgno"] + 1) * database.stat()["psize"]
    except lmdb.Error as error:
        raise InputError(
            f"{file}: cannot be opened as an LMDB database ({error}). Copy or write it again."
        ) from error
    if file.stat().st_size < needed:
        raise InputError(
            f"{file}: truncated: {file.stat().st_size} bytes, where its header promises {needed}. Copy the "
            "file again."
        )


def _stored(folder: Path, data: dict[str, Any]) -> Stored:
    names, counts = list(data["atom_names"]), data["atom_numbs"]
    group = "".join(f"{name}{count}" for name, count in zip(names, counts, strict=True) if count)
    where = place(folder, group)
    arrays = {OF_DPDATA.get(key, key): np.asarray(value) for key, value in data.items() if key not in ABOUT}
    periodic = not data.get("nopbc", False)
    if not periodic:
        del arrays["box"]  # zeros that dpdata put there
    headers = {key: partial(ArrayHeader.of, f"{where}/{key}", array) for key, array in arrays.items()}
    unnamed = names == [f"Type_{k}" for k in range(len(names))]
    return Stored(
        path=folder,
        group=group,
        layout="lmdb",
        types=checked_types(np.asarray(data["atom_types"]), where),
        names=None if unnamed else checked_names(names, where),
        pbc=PERIODIC if periodic else CLUSTER,
        sets=(contents(where, headers, "", mixed=False),),
        beside=(ORDER,),
    )
