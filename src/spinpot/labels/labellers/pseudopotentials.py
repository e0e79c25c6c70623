"""Norm-conserving pseudopotentials in the format psp8, of LDA: where they are, and what their headers say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ase.data import atomic_numbers

from spinpot.core.errors import InputError

FOLDER = Path("/usr/share/abinit/psp/Pseudodojo_nc_sr_04_pw_standard_psp8")
"""Of Debian's abinit-data: the standard scalar-relativistic PseudoDojo, LDA."""
PSP8 = 8
GRADIENTS = 100  # libxc's numbers of functionals are smaller for LDA


@dataclass(frozen=True)
class Pseudopotential:
    """A file, its element's number, and how many valence electrons it has."""

    file: Path
    number: int
    valence: float


def find_pseudopotential(element: str, given: str | Mapping[str, str] | None) -> Pseudopotential:
    """That of an element. given: files by element, or a folder of ELEMENT.psp8; None: that of abinit-data.

    Raises InputError where there is none, or where it is none of LDA.
    """
    if isinstance(given, Mapping):
        if element not in given:
            raise InputError(f"label.pseudopotentials: has no file for {element}. Expected a psp8 file.")
        file = Path(given[element])
    else:
        file = Path(given or FOLDER) / f"{element}.psp8"
    file = file.expanduser().resolve()
    if not file.is_file():
        raise InputError(
            f"label=abinit: there is no pseudopotential for {element}: {file}. Install abinit-data, or give "
            "psp8 files of LDA by label.pseudopotentials='{" + element + ": FILE}', or a folder of them."
        )
    return read_header(file, element)


def read_header(file: Path, element: str) -> Pseudopotential:
    """Three lines: a title; the element's number and valence; the format and functional."""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()[1:3]
    try:
        number, valence = (float(word) for word in lines[0].split()[:2])
        form, functional = (int(word) for word in lines[1].split()[:2])
    except (IndexError, ValueError):
        form = functional = 0
    if form != PSP8:
        raise InputError(
            f"{file}: not a psp8 file, the one format that ABINIT's constraints were checked with."
        )
    if number != atomic_numbers[element]:
        raise InputError(f"{file}: of the element {number:g}, expected {element}.")
    if max(divmod(-functional, 1000)) >= GRADIENTS or functional > 10:
        raise InputError(
            f"{file}: made for functional {functional}, expected one of LDA: with gradient corrections "
            "ABINIT's magnetic forces do not agree with its energies."
        )
    return Pseudopotential(file, int(number), valence)
