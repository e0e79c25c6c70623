"""ABACUS' running_*.log: one step after the other, each with the tables that were written for it.

Known are the logs of 3.0 (2022) to the development version of 2026; what differs between them is in the
patterns below.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from ase.units import Bohr

from spinpot.data.readers.abacus_files import Structure

NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eEdD][-+]?\d+)?"
ITERATION = re.compile(r"(?:\b(ION|MD)\s*=|#ION MOVE#)\s*\+?(\d+)")
"""At the head of each electronic iteration."""
MD_STEP = re.compile(r"STEP OF MOLECULAR DYNAMICS( ?):\s*(\d+)")
"""Counts from 0, and from 1 where there is no blank before the colon."""
VERSION = re.compile(r"ABACUS\s+(v[\w.]+)")
ATOMS = re.compile(r"TOTAL ATOM NUMBER\s*=\s*(\d+)")
ENERGY = re.compile(rf"(?:final etot is|TOTAL ENERGY#?)\s+({NUMBER})\s+eV", re.IGNORECASE)
SIGMA_ZERO = re.compile(rf"E_KS\(sigma->0\)\s+{NUMBER}\s+({NUMBER})")
CONVERGED = re.compile(r"charge density convergence is achieved|#SCF IS CONVERGED#", re.IGNORECASE)
NOT_CONVERGED = re.compile(r"convergence has not been achieved|SCF IS NOT CONVERGED", re.IGNORECASE)
STRESS = re.compile(r"TOTAL-STRESS\s*\(kbar\)", re.IGNORECASE)
LATTICE_CONSTANT = re.compile(rf"lattice constant \(Bohr\)\s*=\s*({NUMBER})", re.IGNORECASE)
LATTICE = re.compile(r"Lattice vectors:.*in unit of a_0")
COORDINATES = re.compile(r"^#?\s*(DIRECT|CARTESIAN) COORDINATES", re.IGNORECASE)
RULE = re.compile(r"^[\s\-=><+*]*$")
"""Lines that separate."""
DIGITS = "0123456789"
ROW = re.compile(rf"^\s*(?:tau[cd]_)?([A-Za-z]\w*)\s+((?:{NUMBER}\s+)*{NUMBER})\s*$")
"""A row of a table: the atom's label, in some tables with its number, and numbers."""
THREE = re.compile(rf"^\s*({NUMBER})\s+({NUMBER})\s+({NUMBER})\s*$")

FORCE = re.compile(r"^TOTAL-FORCE\s*\(eV\s*/\s*Angstrom\)", re.IGNORECASE)
FORCE_AGAIN = re.compile(r"^TOTAL-FORCE\s*\(Ry/Bohr\)", re.IGNORECASE)
FORCE_MAG = re.compile(r"^Magnetic force\s*\(eV/uB\)", re.IGNORECASE)
MAGNETISM = re.compile(r"^Total Magnetism\s*\(uB\)", re.IGNORECASE)
ANGLES = re.compile(r"Magnitude.*Polar.*Azimuth", re.IGNORECASE)
PROJECTED = re.compile(r"Orbital Charge Analysis", re.IGNORECASE)
"""Heads the analysis by onsite projections, which ends with its table of moments."""

NO_POSITIONS = "without positions"
MOMENTS = ("constrained_moments", "onsite_moments", "mulliken_moments")
"""Those that the magnetic forces belong to; by projection on atomic orbitals; by Mulliken's analysis."""


@dataclass
class Step:
    """One self-consistent calculation.

    md: its number in MD_dump; tables: per atom, (N,) or (N, k); heads: of tables of labels, with or without
    rows that could be read; stress: (3, 3), kbar; box, coord: Å; energy: free energy, eV; sigma_zero:
    extrapolated to no smearing; lack: why its positions are not known.
    """

    md: int | None = None
    energy: float | None = None
    sigma_zero: float | None = None
    converged: bool | None = None
    tables: dict[str, np.ndarray] = field(default_factory=dict)
    heads: set[str] = field(default_factory=set)
    stress: np.ndarray | None = None
    box: np.ndarray | None = None
    coord: np.ndarray | None = None
    lack: str = NO_POSITIONS


@dataclass(frozen=True)
class Log:
    """version: as the log names it, or empty; n_atoms: where it says so."""

    version: str
    n_atoms: int | None
    steps: list[Step]


def read_log(text: str, structure: Structure) -> Log:
    """Every step of a log, complete or not. structure: of STRU, with the labels of the atoms."""
    version = VERSION.search(text)
    head, *parts = _parts(text.splitlines())
    constant = _lattice_constant(head, structure)
    box = _box(head, constant, structure)
    coord = _coordinates(head, constant, box, structure.labels)
    steps = []
    for before, part in zip([head, *parts], parts, strict=False):
        step = _step(part, structure.labels)
        step.md = _md_step(before, part[0])
        step.box, step.coord = box, coord
        steps.append(step)
        box = _box(part, constant, structure, box)
        coord = _coordinates(part, constant, box, structure.labels)
    atoms = ATOMS.search(text)
    return Log(version[1] if version else "", int(atoms[1]) if atoms else None, steps)


def _parts(lines: list[str]) -> list[list[str]]:
    """What comes before the first step, and each step: from its first iteration to that of the next."""
    parts: list[list[str]] = [[]]
    current = None
    for line in lines:
        found = ITERATION.search(line)
        if found and found[2] != current:
            current = found[2]
            parts.append([])
        parts[-1].append(line)
    return parts


def _md_step(before: list[str], first: str) -> int | None:
    """The step's number in MD_dump, from the lines before it; the oldest logs have it in its first line."""
    head = ITERATION.search(first)
    if head and head[1] == "MD":
        return int(head[2]) - 1
    found = [match for line in before if (match := MD_STEP.search(line))]
    return int(found[-1][2]) - (not found[-1][1]) if found else None


def _step(lines: list[str], labels: Sequence[str]) -> Step:
    step = Step()
    for number, line in enumerate(lines):
        if found := ENERGY.search(line):
            step.energy = _number(found[1])
        elif found := SIGMA_ZERO.search(line):
            step.sigma_zero = _number(found[1])
        elif NOT_CONVERGED.search(line):
            step.converged = False
        elif CONVERGED.search(line):
            step.converged = True
        elif STRESS.search(line):
            step.heads.add("stress")
            step.stress = _matrix(lines[number + 1 : number + 9])
        elif head := _head(line.strip(" #\t")):
            step.heads.add(head)
    for name, values in _tables(lines, labels):
        step.tables[name] = values  # the last of those written in one step
    return step


def _head(title: str) -> str:
    """The label that a table with this title holds, or nothing."""
    if MAGNETISM.match(title):
        return "moments"
    return "force" if FORCE.match(title) else "force_mag" if FORCE_MAG.match(title) else ""


def _tables(lines: list[str], labels: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Tables with one row of numbers for each atom, by the names of their columns."""
    projected, k = False, 0
    while k < len(lines):
        projected = projected or bool(PROJECTED.search(lines[k]))
        rows = []
        while k < len(lines) and (found := ROW.match(lines[k])):
            rows.append(found)
            k += 1
        if not rows:
            k += 1
            continue
        title = _title(lines, k - len(rows))
        values = _values(rows, labels)
        if values is None or any(known.search(title) for known in (COORDINATES, ANGLES, FORCE_AGAIN)):
            continue  # of the tables, those in other units or coordinates are there twice
        yield _name(title, rows, labels, projected), values
        projected = projected and not MAGNETISM.match(title)


def _values(rows: list[re.Match[str]], labels: Sequence[str]) -> np.ndarray | None:
    """The numbers, where the rows are the atoms in their order."""
    if len(rows) != len(labels) or not all(
        row[1].rstrip(DIGITS) == label.rstrip(DIGITS) for row, label in zip(rows, labels, strict=True)
    ):
        return None
    numbers = [[_number(word) for word in row[2].split()] for row in rows]
    if len({len(line) for line in numbers}) > 1:
        return None
    values = np.array(numbers)
    return values[:, 0] if values.shape[1] == 1 else values


def _title(lines: list[str], first: int) -> str:
    """The line above a table, without rules, blanks and the names of its columns."""
    above = (
        line.strip(" #\t") for line in reversed(lines[max(first - 6, 0) : first]) if not RULE.match(line)
    )
    named = (line for line in above if not re.match(r"atoms?\s", line, re.IGNORECASE))
    return re.sub(r"\s+", " ", next(named, ""))


def _name(title: str, rows: list[re.Match[str]], labels: Sequence[str], projected: bool) -> str:
    """The column that a table is. Mulliken's alone numbers its atoms, or names its columns."""
    head = _head(title)
    if head != "moments":
        return head or title or "a table without a title"
    if title.endswith(" x y z") or any(
        len(row[1]) > len(label) for row, label in zip(rows, labels, strict=True)
    ):
        return "mulliken_moments"
    return "onsite_moments" if projected else "constrained_moments"


def _matrix(lines: list[str]) -> np.ndarray | None:
    """The first three rows of three numbers, one below the other."""
    found = [match for line in lines if (match := THREE.match(line))]
    return (
        np.array([[_number(word) for word in row.groups()] for row in found[:3]]) if len(found) > 2 else None
    )


def _number(word: str) -> float:
    return float(word.replace("d", "e").replace("D", "e"))


def _lattice_constant(lines: list[str], structure: Structure) -> float | None:
    """In Å: STRU's, where it is the one of the log, which has six digits."""
    found = next((match for line in lines if (match := LATTICE_CONSTANT.search(line))), None)
    if found is None:
        return structure.lattice_constant
    logged, exact = _number(found[1]) * Bohr, structure.lattice_constant
    return exact if exact is not None and abs(exact - logged) < 1e-5 * logged else logged


def _box(
    lines: list[str], constant: float | None, structure: Structure, before: np.ndarray | None = None
) -> np.ndarray | None:
    """The last cell in the lines, else the one before; with STRU's digits, where they are the same."""
    exact = structure.box
    for number in range(len(lines) - 1, -1, -1):
        if LATTICE.search(lines[number]) and constant is not None:
            vectors = _matrix(lines[number + 1 : number + 4])
            if vectors is None:
                return None
            box = vectors * constant
            same = exact is not None and np.abs(box - exact).max() <= 1e-5 * np.abs(box).max()
            return exact if same else box
    return exact if before is None else before


def _coordinates(
    lines: list[str], constant: float | None, box: np.ndarray | None, labels: Sequence[str]
) -> np.ndarray | None:
    """The last coordinates in the lines, in Å; those of the next step."""
    for number in range(len(lines) - 1, -1, -1):
        head = COORDINATES.match(lines[number].strip())
        if not head or box is None or constant is None:
            continue
        rows = [found for line in lines[number + 1 : number + 3 + len(labels)] if (found := ROW.match(line))]
        values = _values(rows[: len(labels)], labels)
        if values is not None and values.ndim == 2:
            direct = head[1].upper() == "DIRECT"
            return values[:, :3] @ box if direct else values[:, :3] * constant
    return None
