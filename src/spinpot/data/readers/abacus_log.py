"""ABACUS' running_*.log: a sequence of steps, each with its tables.

Reads the logs of versions 3.0 (2022) to the development version of 2026; the patterns below cover their
differences.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, pairwise

import numpy as np
from ase.units import Bohr

from spinpot.data.readers.abacus_files import Structure
from spinpot.data.readers.texts import NUMBER, parts

ITERATION = re.compile(r"(?:\b(?P<kind>ION|MD)\s*=|#ION MOVE#)\s*\+?(?P<step>\d+)")
MD_STEP = re.compile(r"STEP OF MOLECULAR DYNAMICS( ?):\s*(\d+)")
"""The step counts from 0, but from 1 if there is no blank before the colon."""
VERSION = re.compile(r"ABACUS\s+(v[\w.]+)")
ATOMS = re.compile(r"TOTAL ATOM NUMBER\s*=\s*(\d+)")
ENERGY = re.compile(rf"(?:final etot is|TOTAL ENERGY#?)\s+({NUMBER})\s+eV", re.IGNORECASE)
SIGMA_ZERO = re.compile(rf"E_KS\(sigma->0\)\s+{NUMBER}\s+({NUMBER})")
CONVERGED = re.compile(
    r"(?P<no>convergence has not been achieved|SCF IS NOT CONVERGED)"
    r"|charge density convergence is achieved|#SCF IS CONVERGED#",
    re.IGNORECASE,
)
STRESS = re.compile(r"TOTAL-STRESS\s*\(kbar\)", re.IGNORECASE)
LATTICE_CONSTANT = re.compile(rf"lattice constant \(Bohr\)\s*=\s*({NUMBER})", re.IGNORECASE)
LATTICE = re.compile(r"Lattice vectors:.*in unit of a_0")
COORDINATES = re.compile(r"[\s#]*(DIRECT|CARTESIAN) COORDINATES", re.IGNORECASE)
RULE = re.compile(r"^[\s\-=><+*]*$")  # lines that separate parts of the log
DIGITS = "0123456789"
ROW = re.compile(rf"^\s*(?:tau[cd]_)?([A-Za-z]\w*)\s+((?:{NUMBER}\s+)*{NUMBER})\s*$")
"""A row of a table: the atom's label, in some tables with its number, and numbers."""
THREE = re.compile(rf"^\s*({NUMBER})\s+({NUMBER})\s+({NUMBER})\s*$")

HEADS = re.compile(
    r"(?P<force>TOTAL-FORCE\s*\(eV\s*/\s*Angstrom\))"
    r"|(?P<force_mag>Magnetic force\s*\(eV/uB\))"
    r"|(?P<moments>Total Magnetism\s*\(uB\))",
    re.IGNORECASE,
)
ELSEWHERE = re.compile(
    r"^(DIRECT|CARTESIAN) COORDINATES|Magnitude.*Polar.*Azimuth|^TOTAL-FORCE\s*\(Ry/Bohr\)", re.IGNORECASE
)
"""Titles of tables to skip: the log has the same numbers in other units or coordinates."""
PROJECTED = re.compile(r"Orbital Charge Analysis", re.IGNORECASE)
"""Heads the analysis by onsite projections, which ends with its table of moments."""

NO_POSITIONS = "without positions"
MOMENTS = ("constrained_moments", "onsite_moments", "mulliken_moments")
"""Tables of moments: constrained (the magnetic forces belong to them); onsite projections; Mulliken."""


@dataclass
class Step:
    """One self-consistent calculation.

    md: its number in MD_dump; tables: per atom, (N,) or (N, k); heads: labels whose tables have a title,
    even if their rows could not be read; stress: (3, 3), kbar; box, coord: Å; energy: free energy, eV;
    sigma_zero: energy extrapolated to zero smearing, eV; lack: why its positions are not known.
    """

    md: int | None
    energy: float | None
    sigma_zero: float | None
    converged: bool | None
    tables: dict[str, np.ndarray]
    heads: set[str]
    stress: np.ndarray | None
    box: np.ndarray | None
    coord: np.ndarray | None
    lack: str = NO_POSITIONS


@dataclass(frozen=True)
class Log:
    """Contents of a log. version: empty if the log does not state it; n_atoms: None if it does not.

    steps: complete or not, read one at a time.
    """

    version: str
    n_atoms: int | None
    steps: Iterator[Step]


def read_log(lines: Iterable[str], structure: Structure) -> Log:
    """A log from its lines. structure: from STRU, with the labels of the atoms."""
    pieces = parts(map(str.rstrip, lines), ITERATION)
    head = next(pieces)
    version, atoms = _last(VERSION, head), _last(ATOMS, head)
    steps = _steps(head, pieces, structure)
    return Log(version[1] if version else "", int(atoms[1]) if atoms else None, steps)


def _steps(head: list[str], pieces: Iterator[list[str]], structure: Structure) -> Iterator[Step]:
    constant, box = _lattice_constant(head, structure), structure.box
    for before, part in pairwise(chain([head], pieces)):
        box = _box(before, constant, structure, box)
        coord = _coordinates(before, constant, box, structure.labels)
        yield _step(before, part, structure.labels, box, coord)


def _md_step(before: Sequence[str], part: Sequence[str]) -> int | None:
    """The step's number in MD_dump, from the lines before the step, or in the oldest logs its first line."""
    head = ITERATION.search(part[0])
    if head and head["kind"] == "MD":
        return int(head["step"]) - 1
    found = _last(MD_STEP, before)
    return int(found[2]) - (not found[1]) if found else None


def _step(
    before: Sequence[str],
    lines: Sequence[str],
    labels: Sequence[str],
    box: np.ndarray | None,
    coord: np.ndarray | None,
) -> Step:
    energy, sigma_zero, converged = (_last(pattern, lines) for pattern in (ENERGY, SIGMA_ZERO, CONVERGED))
    stress = _below(STRESS, lines)
    heads = {_head(line.strip(" #\t")) for line in lines} - {""}
    return Step(
        md=_md_step(before, lines),
        energy=_number(energy[1]) if energy else None,
        sigma_zero=_number(sigma_zero[1]) if sigma_zero else None,
        converged=not converged["no"] if converged else None,
        tables=dict(_tables(lines, labels)),  # if a table is written several times, the last one
        heads=heads | ({"stress"} if stress is not None else set()),
        stress=_matrix(stress[:8]) if stress else None,
        box=box,
        coord=coord,
    )


def _head(title: str) -> str:
    """The label that a table with this title holds; empty if it holds none."""
    found = HEADS.match(title)
    return (found and found.lastgroup) or ""


def _tables(lines: Sequence[str], labels: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """(column name, numbers) for each table with one row per atom."""
    projected, title = False, ""
    matches = ((line, ROW.match(line)) for line in lines)
    for is_table, group in groupby(matches, lambda match: match[1] is not None):
        block = list(group)
        if not is_table:
            above = [line for line, _ in block]
            projected = projected or any(map(PROJECTED.search, above))
            title = _title(above)
            continue
        rows = [row for _, row in block if row]
        values = _values(rows, labels)
        if values is not None and not ELSEWHERE.search(title):
            yield _name(title, rows, labels, projected), values
            projected = projected and _head(title) != "moments"


def _values(rows: Sequence[re.Match[str]], labels: Sequence[str]) -> np.ndarray | None:
    """The numbers, if the rows are the atoms in order; else None."""
    if [row[1].rstrip(DIGITS) for row in rows] != [label.rstrip(DIGITS) for label in labels]:
        return None
    numbers = [[_number(word) for word in row[2].split()] for row in rows]
    if len({len(line) for line in numbers}) > 1:
        return None
    return np.array(numbers)[:, 0] if len(numbers[0]) == 1 else np.array(numbers)


def _title(above: Sequence[str]) -> str:
    """The line above a table, without rules, blanks and the names of its columns."""
    titles = (line.strip(" #\t") for line in reversed(above[-6:]) if not RULE.match(line))
    named = (line for line in titles if not re.match(r"atoms?\s", line, re.IGNORECASE))
    return re.sub(r"\s+", " ", next(named, ""))


def _name(title: str, rows: Sequence[re.Match[str]], labels: Sequence[str], projected: bool) -> str:
    """The column name of a table. Only Mulliken's table numbers the atoms or names its columns."""
    if _head(title) != "moments":
        return _head(title) or title or "a table without a title"
    numbered = any(len(row[1]) > len(label) for row, label in zip(rows, labels, strict=True))
    if numbered or title.endswith(" x y z"):
        return "mulliken_moments"
    return "onsite_moments" if projected else "constrained_moments"


def _last(pattern: re.Pattern[str], lines: Sequence[str]) -> re.Match[str] | None:
    """The last match; lines are searched from the end."""
    return next(filter(None, map(pattern.search, reversed(lines))), None)


def _below(pattern: re.Pattern[str], lines: Sequence[str]) -> Sequence[str] | None:
    """The lines below the last match of the pattern; None without a match."""
    found = (number for number in range(len(lines), 0, -1) if pattern.search(lines[number - 1]))
    number = next(found, None)
    return None if number is None else lines[number:]


def _matrix(lines: Sequence[str]) -> np.ndarray | None:
    """The first three consecutive rows of three numbers."""
    rows = [row.groups() for line in lines if (row := THREE.match(line))][:3]
    return np.array([list(map(_number, row)) for row in rows]) if len(rows) == 3 else None


def _number(word: str) -> float:
    return float(word.replace("d", "e").replace("D", "e"))


def _lattice_constant(lines: Sequence[str], structure: Structure) -> float | None:
    """Lattice constant, Å; STRU's value if it agrees with the log's, which has only six digits."""
    found, exact = _last(LATTICE_CONSTANT, lines), structure.lattice_constant
    if found is None:
        return exact
    logged = _number(found[1]) * Bohr
    return exact if exact is not None and abs(exact - logged) < 1e-5 * logged else logged


def _box(
    lines: Sequence[str], constant: float | None, structure: Structure, before: np.ndarray | None
) -> np.ndarray | None:
    """The last cell in the lines, else `before`; STRU's cell if it agrees, since it has more digits."""
    rows, exact = _below(LATTICE, lines), structure.box
    if not rows or constant is None:
        return exact if before is None else before
    vectors = _matrix(rows[:3])
    if vectors is None:
        return None
    box = vectors * constant
    same = exact is not None and np.abs(box - exact).max() <= 1e-5 * np.abs(box).max()
    return exact if same else box


def _coordinates(
    lines: Sequence[str], constant: float | None, box: np.ndarray | None, labels: Sequence[str]
) -> np.ndarray | None:
    """The last coordinates in the lines, Å; they belong to the step that follows."""
    if box is None or constant is None:
        return None
    for number in reversed(range(len(lines))):
        if head := COORDINATES.match(lines[number]):
            below = lines[number + 1 : number + 3 + len(labels)]
            rows = [row for line in below if (row := ROW.match(line))]
            values = _values(rows[: len(labels)], labels)
            if values is not None and values.ndim == 2:
                return values[:, :3] @ box if head[1].upper() == "DIRECT" else values[:, :3] * constant
    return None
