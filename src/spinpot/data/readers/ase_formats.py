"""Frames that ase reads: extxyz, its trajectories, databases and json files."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from ase import Atoms

from spinpot.core.errors import InputError
from spinpot.core.notes import Notes
from spinpot.data.readers.frames import RawFrame, systems_of
from spinpot.data.readers.names import FINAL_MOMENTS, INITIAL_MOMENTS, known
from spinpot.data.readers.reader import Wanted
from spinpot.data.readers.texts import beginning
from spinpot.data.systems import System

STRUCTURE = ("numbers", "positions", "cell", "pbc")  # arrays of ase that are the structure itself
HEAD = 4000  # bytes at the beginning of a file that are searched
OF_THE_FRAME = ("dipole", "magmom")
"""Calculator results that belong to the frame even if they have one number per atom; so do stress, virial."""
OF_FRAMES = ("energy", "virial", "stress")  # labels that are entries of a frame
OF_THE_ROW = ("id", "ctime", "mtime")  # a database's own numbers of a row


@dataclass
class AseFile:
    """A file format of ase. magic: its first bytes; holds: bytes that its beginning must contain."""

    name: str
    what: str
    suffixes: tuple[str, ...]
    magic: bytes = b""
    holds: bytes = b""
    runs: bool = True

    def knows(self, path: Path) -> bool:
        """Whether suffix or first bytes match, and the beginning contains `holds`."""
        named = path.name.removesuffix(".gz").endswith(self.suffixes) and path.is_file()
        known = named or (self.magic != b"" and beginning(path, len(self.magic)) == self.magic)
        return known and (not self.holds or self.holds in beginning(path, HEAD))

    def read(self, place: Path, wanted: Wanted, notes: Notes) -> list[System]:
        """The frames, grouped into systems with the same atoms and labels."""
        return systems_of(self.frames(place), place, wanted, notes)

    def frames(self, place: Path) -> Iterator[RawFrame]:
        """The frames, read one at a time."""
        import ase.io  # imported here, since it imports much of scipy

        read = ase.io.iread(str(place), index=":", format=self.name)
        for number in itertools.count():
            try:
                yield raw_frame(next(read))
            except StopIteration:
                return
            except InputError as error:
                raise InputError(f"{place}, frame {number}: {error}") from error
            except KeyError as error:  # from ase's table of elements
                raise InputError(
                    f"{place}, frame {number}: {error.args[0]} is not an element, and ase reads only "
                    "elements. Write the element's symbol instead."
                ) from error
            except Exception as error:  # ase's readers may raise anything
                if number == 0:
                    raise
                raise InputError(
                    f"{place}, frame {number}: cannot be read ({type(error).__name__}: {error}). Correct the "
                    "file, or remove the frame."
                ) from error


class AseDatabase(AseFile):
    """Databases of ase.db, with the users' own keys and data, which ase.io does not read."""

    def frames(self, place: Path) -> Iterator[RawFrame]:
        """The rows in the order of their ids."""
        import ase.db

        return map(_of_row, ase.db.connect(str(place)).select(sort="id"))


ASE_READERS = (
    AseFile("extxyz", "extxyz (.xyz, .extxyz)", (".xyz", ".extxyz")),
    AseFile("traj", "ase's trajectories (.traj)", (".traj",), b"- of Ulm"),
    AseDatabase("db", "ase's databases (.db)", (".db",), b"SQLite format 3"),
    # Other programs write json files, too; ase's have the cell near the beginning.
    AseDatabase("json", "ase's json (.json)", (".json",), holds=b'"cell"'),
)


def raw_frame(atoms: Atoms) -> RawFrame:
    """All numbers of ase.Atoms: arrays, info and the calculator's results."""
    columns = {name: values for name, values in atoms.arrays.items() if name not in STRUCTURE}
    return _frame(atoms, columns, atoms.info, _results(atoms))


def _results(atoms: Atoms) -> dict[str, Any]:
    """The calculator's results; empty if the atoms have changed since."""
    calculator = atoms.calc
    if calculator is None or (hasattr(calculator, "check_state") and calculator.check_state(atoms)):
        return {}
    return cast(dict[str, Any], calculator.results)


def _of_row(row: Any) -> RawFrame:
    """The frame of an AtomsRow. SQLite stores vector moments flat, which toatoms() cannot read."""
    skipped = (*STRUCTURE, *OF_THE_ROW, *row.key_value_pairs)
    results = {name: row[name] for name in row if name not in skipped}
    for name in (FINAL_MOMENTS, INITIAL_MOMENTS):
        if name in results and np.size(results[name]) == 3 * row.natoms:
            results[name] = np.reshape(results[name], (row.natoms, 3))
    atoms = Atoms(**{name: row[name] for name in STRUCTURE})
    return _frame(atoms, {}, {**row.key_value_pairs, **row.data}, results)


def _frame(
    atoms: Atoms, columns: Mapping[str, Any], entries: Mapping[str, Any], results: Mapping[str, Any]
) -> RawFrame:
    """A frame with all numbers. results: the calculator's; a name that the file also has gets a suffix."""
    x, y, z = atoms.pbc.tolist()
    symbols = tuple(atoms.get_chemical_symbols())
    found = RawFrame(symbols, atoms.cell.array, (x, y, z), atoms.positions)
    for given, kept_apart in ((columns, ""), (entries, ""), (results, " of the calculator")):
        for name, values in given.items():
            if isinstance(values, str) and any(known(name, label) for label in OF_FRAMES):
                raise InputError(
                    f"{name}={values}: not a number. Expected one such as -1.5e2. Correct the file."
                )
            if _numeric(values):
                place = found.columns if _per_atom(name, values, len(atoms)) else found.entries
                place[name + kept_apart if name in place else name] = np.asarray(values)
    return found


def _per_atom(name: str, values: Any, n_atoms: int) -> bool:
    """Whether the values are per-atom; a stress is not, even if the frame has 6 atoms."""
    of_the_frame = name in OF_THE_FRAME or known(name, "stress") or known(name, "virial")
    return not of_the_frame and np.shape(values)[:1] == (n_atoms,)


def _numeric(values: Any) -> bool:
    """Whether the values are numbers; booleans are not."""
    try:
        return np.asarray(values).dtype.kind in "fiu" and np.size(values) > 0
    except ValueError:  # a list of lists of different lengths
        return False
