"""Reads LAMMPS' text dumps (atom, custom) with all their columns; lammps_dump interprets the columns."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spinpot.core.errors import InputError
from spinpot.core.notes import Notes
from spinpot.data.readers.texts import opened, whole_lines

BEGIN = "ITEM:"
TEXTS = ("element", "typelabel")  # columns of words; all others are numbers
ITEMS = ("UNITS", "TIMESTEP", "TIME", "NUMBER OF ATOMS", "BOX BOUNDS", "ATOMS")


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One frame; atoms are sorted by id.

    units: as in the file; None: not given. box: (3, 3), rows; origin: (3,), its corner. pbc: per lattice
    vector; None: not given. general: the box is general triclinic. columns: (N,) each.
    """

    where: str
    units: str | None
    box: np.ndarray
    origin: np.ndarray
    pbc: tuple[bool, bool, bool] | None
    general: bool
    columns: dict[str, np.ndarray]


class _Item(NamedTuple):
    """ITEM: name words, and the lines below it."""

    name: str
    words: list[str]
    lines: list[str]


def begins_like_a_dump(path: Path) -> bool:
    """Whether a file, perhaps compressed by gzip, begins with `ITEM:`."""
    try:
        with opened(path) as file:
            return file.read(len(BEGIN)) == BEGIN
    except (OSError, EOFError):
        return False


def snapshots(path: Path, notes: Notes) -> Iterator[Snapshot]:
    """The complete frames of a dump. A note counts incomplete frames, as a killed run leaves them.

    Raises InputError for a file without a complete frame, and for other damage.
    """
    units, frames, cut = None, 0, 0
    head: dict[str, _Item] = {}
    for item in _items(path, notes):
        if item.name in head:  # the next frame begins before the atoms of this one
            cut, head = cut + 1, {}
        head[item.name] = item
        if item.name == "UNITS":
            units = " ".join(item.lines).strip()
        if item.name == "ATOMS":
            made = _snapshot(head, units, f"{path}, frame {frames + cut}")
            frames, cut, head = frames + (made is not None), cut + (made is None), {}
            if made is not None:
                yield made
    cut += bool(head)
    if not frames:
        raise InputError(
            f"{path}: no complete frame in it"
            + (f", {cut} cut off. " if cut else ": no ITEM: ATOMS. ")
            + "Expected a text dump of LAMMPS, as `dump custom` writes it. Check the file."
        )
    if cut:
        what = "frames" if cut > 1 else "frame"
        notes.add(f"{cut} {what} left out: incomplete, as a killed run leaves them", str(path))


def _items(path: Path, notes: Notes) -> Iterator[_Item]:
    item = None
    for line in whole_lines(path, notes):
        _, mark, header = line.rpartition("ITEM:")
        if mark:
            if item:
                yield item
            item = _item(header, path)
        elif item and line.strip():
            item.lines.append(line)
    if item:
        yield item


def _item(header: str, path: Path) -> _Item:
    words = header.split()
    for name in ITEMS:
        parts = name.split()
        if words[: len(parts)] == parts:
            return _Item(name, words[len(parts) :], [])
    raise InputError(
        f"{path}: ITEM: {header.strip()} does not belong to a dump of atoms. Expected a text dump, as "
        "LAMMPS' `dump custom` writes it."
    )


def _snapshot(head: dict[str, _Item], units: str | None, where: str) -> Snapshot | None:
    """A frame; None if it is cut off."""
    for name in ("NUMBER OF ATOMS", "BOX BOUNDS"):
        if not (name in head and head[name].lines):
            raise InputError(f"{where}: ITEM: {name} is missing. Correct the file.")
    n_atoms = int(head["NUMBER OF ATOMS"].lines[0])
    _, names, rows = head["ATOMS"]
    words = [row.split() for row in rows]
    if len(rows) < n_atoms or any(len(row) != len(names) for row in words):
        return None
    if len(rows) > n_atoms or n_atoms == 0:
        raise InputError(
            f"{where}: {len(rows)} lines of atoms, but ITEM: NUMBER OF ATOMS is {n_atoms}. Correct it."
        )
    columns = _columns(names, np.array(words), where)
    return Snapshot(where, units, *_box(head["BOX BOUNDS"], where), columns)


def _columns(names: list[str], table: np.ndarray, where: str) -> dict[str, np.ndarray]:
    """{name: numbers sorted by atom id}. Raises InputError without ids."""
    if "id" not in names:
        raise InputError(
            f"{where}: no column id, and LAMMPS' order of atoms changes from frame to frame. It has: "
            f"{' '.join(names)}. Dump id too; or add the column, if the run had `dump_modify sort id`."
        )
    columns: dict[str, np.ndarray] = {}
    for name, values in zip(names, table.T, strict=True):
        try:
            columns[name] = values if name in TEXTS else np.array(values.tolist(), dtype=np.float64)
        except ValueError as error:
            raise InputError(f"{where}: column {name}: {error}. Correct the file.") from None
    order = np.argsort(columns["id"], kind="stable")
    twice = np.flatnonzero(np.diff(columns["id"][order]) == 0.0)
    if len(twice):
        number = int(columns["id"][order][twice[0]])
        raise InputError(f"{where}: two atoms have the id {number}. Expected each id once; correct the file.")
    return {name: values[order] for name, values in columns.items()}


def _box(item: _Item, where: str) -> tuple[np.ndarray, np.ndarray, tuple[bool, bool, bool] | None, bool]:
    """Lattice vectors, corner, periodicity, and whether the box is general triclinic."""
    table = np.array([line.split() for line in item.lines], dtype=np.float64)
    general, tilted = item.words[:2] == ["abc", "origin"], item.words[:3] == ["xy", "xz", "yz"]
    if table.shape != (3, 4 if general else 3 if tilted else 2):
        raise InputError(
            f"{where}: ITEM: BOX BOUNDS {' '.join(item.words)} has {table.shape} numbers. Correct it."
        )
    flags = item.words[2 if general else 3 if tilted else 0 :]
    a, b, c = (flag == "pp" for flag in (flags if len(flags) == 3 else ("pp", "pp", "pp")))
    pbc = (a, b, c) if len(flags) == 3 else None
    if general:
        return table[:, :3], table[:, 3], pbc, True
    xy, xz, yz = table[:, 2] if tilted else (0.0, 0.0, 0.0)
    low = table[:, 0] - (
        min(0.0, xy, xz, xy + xz),
        min(0.0, yz),
        0.0,
    )  # BOX BOUNDS enclose the tilted box
    high = table[:, 1] - (max(0.0, xy, xz, xy + xz), max(0.0, yz), 0.0)
    box = np.diag(high - low)
    box[1, 0], box[2, 0], box[2, 1] = xy, xz, yz
    return box, low, pbc, False
