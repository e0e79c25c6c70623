"""Frames that ase reads: extxyz, its trajectories, databases and json files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ase.db
import ase.io
import numpy as np
from ase import Atoms

from spinpot.data.readers.frames import RawFrame, systems_of
from spinpot.data.readers.reader import Wanted
from spinpot.data.systems import System
from spinpot.notes import Notes

STRUCTURE = ("numbers", "positions")
"""Arrays of ase.Atoms that are the structure itself."""
OF_THE_FRAME = ("stress", "virial", "dipole", "magmom")
"""Results of a calculator that are the frame's, whatever their length."""


class AseFile:
    """One of ase's formats of files."""

    runs = False

    def __init__(self, name: str, what: str, suffixes: tuple[str, ...], magic: bytes) -> None:
        self.name = name
        self.what = what
        self.suffixes = suffixes
        self.magic = magic

    def knows(self, path: Path) -> bool:
        """By the suffix, or by the first bytes."""
        if not path.is_file():
            return False
        if path.name.removesuffix(".gz").endswith(self.suffixes):
            return True
        with path.open("rb") as file:
            return bool(self.magic) and file.read(len(self.magic)) == self.magic

    def read(self, place: Path, wanted: Wanted, notes: Notes) -> list[System]:
        """Systems of the frames with the same atoms and labels."""
        return systems_of(map(raw_frame, self.atoms(place)), place, wanted, notes)

    def atoms(self, place: Path) -> Iterator[Atoms]:
        """The frames, one at a time."""
        yield from ase.io.iread(str(place), index=":", format=self.name)


class AseDatabase(AseFile):
    """Rows of ase.db with what users keep beside the atoms, which ase.io leaves out."""

    def atoms(self, place: Path) -> Iterator[Atoms]:
        """The rows in the order of their ids; their key-value pairs and data are entries of `info`."""
        for row in ase.db.connect(str(place)).select():
            atoms = row.toatoms()
            atoms.info.update({**row.key_value_pairs, **row.data})
            yield atoms


ASE_READERS = (
    AseFile("extxyz", "extxyz (.xyz, .extxyz)", (".xyz", ".extxyz"), b""),
    AseFile("traj", "ase trajectories (.traj)", (".traj",), b"- of Ulm"),
    AseDatabase("db", "ase databases (.db)", (".db",), b"SQLite format 3"),
    AseDatabase("json", "ase's json (.json)", (".json",), b""),
)


def raw_frame(atoms: Atoms) -> RawFrame:
    """Everything numeric that ase.Atoms hold: arrays, info and a calculator's results."""
    columns = {name: values for name, values in atoms.arrays.items() if name not in STRUCTURE}
    entries: dict[str, Any] = dict(atoms.info)
    for name, values in (atoms.calc.results if atoms.calc is not None else {}).items():
        place = columns if _per_atom(name, values, len(atoms)) else entries
        place[f"{name} of the calculator" if name in place else name] = values
    return RawFrame(
        tuple(atoms.get_chemical_symbols()),
        atoms.cell.array,
        tuple(map(bool, atoms.pbc)),  # type: ignore[arg-type]
        atoms.positions,
        {name: values for name, values in columns.items() if _numeric(values)},
        {name: np.asarray(values) for name, values in entries.items() if _numeric(values)},
    )


def _per_atom(name: str, values: Any, n_atoms: int) -> bool:
    """Whether a result is an array per atom; a stress is not, even where a frame has 6 atoms."""
    return name not in OF_THE_FRAME and np.shape(values)[:1] == (n_atoms,)


def _numeric(values: Any) -> bool:
    """Whether these are numbers; flags are not."""
    try:
        return np.asarray(values).dtype.kind in "fiu" and np.size(values) > 0
    except ValueError:  # a list of lists of different lengths
        return False
