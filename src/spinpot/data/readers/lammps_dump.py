"""LAMMPS dumps with spins."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from spinpot.core.errors import InputError
from spinpot.core.notes import Notes
from spinpot.data.lammps_files import force_mag_from_fm
from spinpot.data.readers.frames import RawFrame, systems_of
from spinpot.data.readers.lammps_spins import SpinColumns, SpinSearch, computes, named_columns, stacked
from spinpot.data.readers.lammps_text import TEXTS, Snapshot, begins_like_a_dump, snapshots
from spinpot.data.readers.names import OPTIONS
from spinpot.data.readers.reader import Wanted
from spinpot.data.systems import System

POSITIONS = ("x y z", "xu yu zu", "xs ys zs", "xsu ysu zsu")
SCALED = POSITIONS[2:]
STRUCTURE = ("id", "type", "ix", "iy", "iz", *" ".join(POSITIONS).split())
LABELS = {"force": "fx fy fz", "force_mag": "fmx fmy fmz"}  # columns that are recognised as labels
DEFAULT_ELEMENT = "C"  # LAMMPS writes this element unless `dump_modify element` names the elements

_TURNED = re.compile(r"(v|f|mu|omega|angmom|tq)[xyz]")
"""Vectors that LAMMPS rotates with the positions of a general triclinic box; it does not rotate computes'."""


class LammpsDump:
    """Text dumps in metal units; spins are columns of a compute property/atom, or named sp spx spy spz."""

    name = "lammps"
    what = "LAMMPS dumps with spins (text, also .gz)"
    runs = True

    def knows(self, path: Path) -> bool:
        """Whether the file's name or first word is that of a dump."""
        named = path.name.removesuffix(".gz").endswith((".dump", ".lammpstrj"))
        return path.is_file() and (named or begins_like_a_dump(path))

    def read(self, place: Path, wanted: Wanted, notes: Notes) -> list[System]:
        """The frames of a dump; frames with different columns go to different systems."""
        searches: dict[tuple[str, ...], SpinSearch] = {}
        for frame in snapshots(place, notes):
            names = tuple(frame.columns)
            if names not in searches:
                searches[names] = SpinSearch(_numbers(names), str(place), wanted)
            searches[names].add(frame.columns, frame.where)
        # The file is read again for each set of columns, because the spins were found only at its end.
        return [
            system
            for names, search in searches.items()
            for system in _systems(names, search, place, wanted, notes)
        ]


@dataclass(frozen=True)
class _Columns:
    """The meaning of the columns. labels: array → its three columns; rest: unused columns, by group."""

    positions: str
    spins: SpinColumns | None
    labels: dict[str, tuple[str, ...]]
    rest: dict[str, list[str]]

    @property
    def sources(self) -> dict[str, str]:
        """Array → its columns, for messages."""
        sources = {array: " ".join(names) for array, names in self.labels.items()}
        return sources | ({"spin": self.spins.source} if self.spins else {})


def _systems(
    names: tuple[str, ...], search: SpinSearch, place: Path, wanted: Wanted, notes: Notes
) -> list[System]:
    """The systems of the frames with these columns."""
    columns = _columns(names, search, wanted)
    same = (frame for frame in snapshots(place, notes) if tuple(frame.columns) == names)
    frames = (_raw(frame, columns, str(place), wanted, notes) for frame in same)
    return systems_of(frames, place, replace(wanted, columns={**wanted.columns, **columns.sources}), notes)


def _numbers(names: Sequence[str]) -> list[str]:
    """The columns with numbers."""
    return [name for name in names if name not in TEXTS]


def _columns(names: Sequence[str], search: SpinSearch, wanted: Wanted) -> _Columns:
    positions = next((three for three in POSITIONS if set(three.split()) <= set(names)), None)
    if positions is None:
        raise InputError(
            f"{search.where}: no positions. Expected the columns {' or '.join(POSITIONS)}. It has: "
            f"{' '.join(names)}."
        )
    numbers, spins = _numbers(names), search.found()
    labels = _labels(numbers, spins, search.where, wanted)
    used = {*STRUCTURE, *(spins.names if spins else ()), *sum(labels.values(), ())}
    rest = [name for name in numbers if name not in used]
    return _Columns(positions, spins, labels, _grouped(rest, numbers))


def _labels(
    columns: Sequence[str], spins: SpinColumns | None, where: str, wanted: Wanted
) -> dict[str, tuple[str, ...]]:
    """Array → its three columns: as the user names them, or recognised by name."""
    found = {}
    for array, default in LABELS.items():
        if array not in wanted.columns and not set(default.split()) <= set(columns):
            continue
        given = wanted.columns.get(array, default)
        option = wanted.option(OPTIONS[array], given)
        names = found[array] = named_columns(given, columns, where, option)
        if len(names) != 3:
            raise InputError(f"{option}: {where}: {len(names)} columns. Expected three, as in 'X Y Z'.")
        if array == "force_mag" and spins is None:
            raise InputError(
                f"{option}: {where} has no spins, and LAMMPS' fm is |S|/ħ times the magnetic force. Dump "
                "the spins too."
            )
    return found


def _say(frame: Snapshot, columns: _Columns, where: str, notes: Notes) -> None:
    if frame.units not in (None, "metal"):
        raise InputError(
            f"{where}: its units are {frame.units}. Expected metal (Å, eV, ps), as LAMMPS' spin styles do. "
            "Convert it, or run LAMMPS in metal units."
        )
    if frame.units is None:
        notes.add("no ITEM: UNITS: read in LAMMPS' metal units (Å, eV, ps)", where)
    if frame.pbc is None:
        notes.add("ITEM: BOX BOUNDS without boundary flags: read as periodic in all directions", where)
    if frame.general:
        notes.add(
            "general triclinic box: vectors of computes are rotated as LAMMPS rotated the positions", where
        )
    if columns.sources.get("force") == LABELS["force"]:
        notes.add(f"{LABELS['force']}: the forces of LAMMPS' own potential and fixes, eV/Å", where)
    if "force_mag" in columns.labels:
        fm = columns.sources["force_mag"]
        notes.add(f"{fm}: read as LAMMPS' fm (rad/ps), times ħ/|S| for eV/μ_B", where)


def _raw(frame: Snapshot, columns: _Columns, where: str, wanted: Wanted, notes: Notes) -> RawFrame:
    _say(frame, columns, where, notes)
    place = stacked(frame.columns, columns.positions.split())
    found = {
        name: stacked(frame.columns, members) if len(members) > 1 else frame.columns[members[0]]
        for name, members in columns.rest.items()
    }
    for array, names in columns.labels.items():
        found[columns.sources[array]] = _turned(stacked(frame.columns, names), names, frame)
    if columns.spins:
        moments = columns.spins.moments(frame.columns)
        found[columns.spins.source] = _turned(moments, columns.spins.direction, frame)
        if fm := columns.sources.get("force_mag"):
            found[fm] = force_mag_from_fm(found[fm], np.linalg.norm(moments, axis=-1))
    coord = place @ frame.box if columns.positions in SCALED else place - frame.origin
    return RawFrame(_symbols(frame, wanted), frame.box, frame.pbc or (True, True, True), coord, found)


def _turned(vectors: np.ndarray, names: Sequence[str], frame: Snapshot) -> np.ndarray:
    """Rotate vectors (N, 3) into a general triclinic box; LAMMPS computes in its triangular box."""
    if not frame.general or all(map(_TURNED.fullmatch, names)):
        return vectors
    triangular = np.linalg.cholesky(frame.box @ frame.box.T)
    return vectors @ np.linalg.solve(triangular, frame.box)


def _symbols(frame: Snapshot, wanted: Wanted) -> tuple[str, ...]:
    """Elements of the atoms: from the column element or typelabel, or from types and --elements."""
    name = next((name for name in TEXTS if name in frame.columns), None)
    words = tuple(map(str, frame.columns[name])) if name else ()
    default = name == "element" and set(words) == {DEFAULT_ELEMENT} and DEFAULT_ELEMENT not in wanted.elements
    if words and not default and not ("type" in frame.columns and wanted.elements):
        return words
    if "type" not in frame.columns:
        raise InputError(
            f"{frame.where}: no column type{', and every element is C' if default else ''}. It has: "
            f"{' '.join(frame.columns)}. Dump type, or element with `dump_modify element`."
        )
    if not wanted.elements:
        raise InputError(
            f"{frame.where}: the dump has types but no elements. Name the elements: --elements Ni O."
        )
    symbols = _of_types(frame, wanted)
    if words and not default and symbols != words:
        k = next(k for k, (one, other) in enumerate(zip(symbols, words, strict=True)) if one != other)
        raise InputError(
            f"{frame.where}: type {frame.columns['type'][k]:g} is {symbols[k]} by --elements "
            f"{' '.join(wanted.elements)}, and {words[k]} by the column {name}. Name the elements in "
            "the order of the types."
        )
    return symbols


def _of_types(frame: Snapshot, wanted: Wanted) -> tuple[str, ...]:
    given = frame.columns["type"]
    if (wrong := given != np.rint(given)).any():
        raise InputError(
            f"{frame.where}: type {given[wrong][0]:g}. Expected whole numbers from 1 on. Correct the dump."
        )
    types = given.astype(int)
    if types.max() > len(wanted.elements) or types.min() < 1:
        raise InputError(
            f"{frame.where}: it has types from {types.min()} to {types.max()}, but --elements names "
            f"{len(wanted.elements)}: {' '.join(wanted.elements)}. Name one for each type, in order."
        )
    return tuple(wanted.elements[kind - 1] for kind in types)


def _grouped(rest: Sequence[str], names: Sequence[str]) -> dict[str, list[str]]:
    """{name: columns} for columns that belong together: `c_st` (a compute), `vx vy vz`, or one column."""
    every = computes(names)
    family = {name: key for key, members in every.items() for name in members}
    groups: dict[str, list[str]] = {}
    for name in rest:
        groups.setdefault(family.get(name) or _vector(name, rest), []).append(name)
    return {
        key if members == every.get(key) else " ".join(members): members for key, members in groups.items()
    }


def _vector(name: str, names: Sequence[str]) -> str:
    """The vector `vx vy vz` that a column belongs to, if all three exist; else the column's name."""
    for pattern in (f"%s{name[1:]}", f"{name[:-1]}%s"):
        three = [pattern % axis for axis in "xyz"]
        if name in three and set(three) <= set(names):
            return " ".join(three)
    return name
