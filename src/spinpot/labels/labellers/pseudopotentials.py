"""Finds norm-conserving LDA pseudopotentials in psp8 format and reads their headers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ase.data import atomic_numbers

from spinpot.core.errors import InputError

FOLDER = Path("/usr/share/abinit/psp/Pseudodojo_nc_sr_04_pw_standard_psp8")
"""The standard scalar-relativistic LDA set of PseudoDojo, installed by Debian's abinit-data."""
PSP8 = 8
GRADIENTS = 100  # libxc's numbers of LDA functionals are smaller


@dataclass(frozen=True)
class Pseudopotential:
    """The file of a pseudopotential, its atomic number, and its number of valence electrons."""

    file: Path
    number: int
    valence: float


def find_pseudopotential(element: str, given: str | Mapping[str, str] | None) -> Pseudopotential:
    """The pseudopotential of an element.

    given: files by element, or a folder of ELEMENT.psp8; None uses abinit-data. Raises InputError if there is
    none, or it is not for LDA.
    """
    if isinstance(given, Mapping):
        if element not in given:
            raise InputError(f"label.pseudopotentials: there is no file for {element}. Give a psp8 file.")
        file = Path(given[element])
    else:
        file = Path(given or FOLDER) / f"{element}.psp8"
    file = file.expanduser().resolve()
    if not file.is_file():
        raise InputError(
            f"label=abinit: the pseudopotential {file} for {element} does not exist. Install abinit-data, or "
            "give LDA psp8 files with label.pseudopotentials='{" + element + ": FILE}', or their folder."
        )
    return read_header(file, element)


def read_header(file: Path, element: str) -> Pseudopotential:
    """Read the header: a title; atomic number and valence; format and functional. Raises InputError."""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()[1:3]
    try:
        number, valence = (float(word) for word in lines[0].split()[:2])
        form, functional = (int(word) for word in lines[1].split()[:2])
    except (IndexError, ValueError):
        form = functional = 0
    if form != PSP8:
        raise InputError(
            f"{file}: not a psp8 file. Expected psp8, the only format with which spinpot's use of ABINIT's "
            "constraints was checked."
        )
    if number != atomic_numbers[element]:
        raise InputError(f"{file}: a pseudopotential of element number {number:g}, expected {element}.")
    if max(divmod(-functional, 1000)) >= GRADIENTS or functional > 10:
        raise InputError(
            f"{file}: made for functional {functional}, expected LDA. With gradient corrections ABINIT's "
            "magnetic forces do not agree with its energies."
        )
    return Pseudopotential(file, int(number), valence)
