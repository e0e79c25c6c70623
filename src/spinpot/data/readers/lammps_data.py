"""LAMMPS data files of atom_style spin; data.lammps_files writes them."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers

from spinpot.core.errors import InputError
from spinpot.core.notes import Notes
from spinpot.data.cell import PERIODIC, Periodic
from spinpot.data.readers.frames import RawFrame, systems_of
from spinpot.data.readers.reader import Wanted
from spinpot.data.readers.texts import beginning
from spinpot.data.systems import System

WORDS = 9  # per line: id, type, x y z, direction and length of the moment; three image flags may follow

_COUNT = re.compile(r"^\s*\d+\s+atoms\s*$", re.MULTILINE)
_SECTION = re.compile(r"^\s*([A-Z][A-Za-z ]*?)\s*(?:#\s*(.*))?$", re.MULTILINE)


class LammpsData:
    """Each file is one structure without labels."""

    name = "lammps_data"
    what = "LAMMPS data files of atom_style spin"
    runs = True

    def knows(self, path: Path) -> bool:
        """A text file whose first lines state the number of atoms, as in LAMMPS' data files."""
        return bool(_COUNT.search(beginning(path, 2000).decode(errors="replace")))

    def read(self, place: Path, wanted: Wanted, notes: Notes) -> list[System]:
        """One frame. Raises InputError for another atom_style, and if the elements are not known."""
        text = place.read_text()
        sections = {name: comment or "" for name, comment in _SECTION.findall(text)}
        _check_style(place, text, sections.get("Atoms"))
        elements = wanted.elements or _elements_of_masses(text)
        import dpdata  # imported here, since it is slow
        from dpdata.plugins.deepmd import register_spin

        register_spin()
        data = dpdata.System(str(place), fmt="lammps/lmp", atom_style="spin").data
        _check_elements(place, elements, int(data["atom_types"].max()) + 1)
        for name in sections.keys() - {"Masses", "Atoms"}:
            notes.add(f"{name}: not used", str(place))
        symbols = tuple(elements[kind] for kind in data["atom_types"])
        columns = {"spin": np.asarray(data["spins"][0])}
        frame = RawFrame(symbols, data["cells"][0], _boundary(place, text, notes), data["coords"][0], columns)
        return systems_of([frame], place, wanted, notes)


def _boundary(place: Path, text: str, notes: Notes) -> Periodic:
    """Periodicity, from the first line that spinpot writes; other data files do not state it."""
    found = re.search(r"\bboundary ([pfsm]) ([pfsm]) ([pfsm])\b", text.partition("\n")[0])
    if found:
        return (found[1] == "p", found[2] == "p", found[3] == "p")
    notes.add("no `boundary` in the first line: read as periodic in all directions", str(place))
    return PERIODIC


def _check_style(place: Path, text: str, style: str | None) -> None:
    first = re.search(r"^\s*Atoms.*\n\s*\n(.*)$", text, re.MULTILINE)
    words = first[1].split("#")[0].split() if first else []
    if len(words) not in (WORDS, WORDS + 3) or (style and not style.startswith("spin")):
        raise InputError(
            f"{place}: the section Atoms has {len(words)} words in a line. Expected atom_style spin: id type "
            "x y z, direction and length of the moment. Write it with that atom_style, or give a dump with "
            "the moments."
        )


def _elements_of_masses(text: str) -> tuple[str, ...]:
    """The names in the comments of the masses, `1 58.693  # Ni`; empty unless all types have one."""
    block = re.search(r"^\s*Masses.*?\n\s*\n(.*?)(?:\n\s*\n|\Z)", text, re.MULTILINE | re.DOTALL)
    lines = block[1].strip().splitlines() if block else []
    names = [line.partition("#")[2].strip() for line in lines]
    return tuple(names) if names and set(names) <= set(atomic_numbers) else ()


def _check_elements(place: Path, elements: Sequence[str], n_types: int) -> None:
    if len(elements) < n_types:
        raise InputError(
            f"{place}: has {n_types} types, but only {len(elements)} elements are known. Name the elements "
            "of all types in order: --elements Ni O."
        )
