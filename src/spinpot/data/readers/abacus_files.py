"""ABACUS' files other than the log: INPUT, STRU, MD_dump."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import numpy as np
from ase.units import Bohr

from spinpot.core.errors import InputError

BLOCKS = (
    *("ATOMIC_SPECIES", "NUMERICAL_ORBITAL", "NUMERICAL_DESCRIPTOR", "PAW_FILES", "ABFS_ORBITAL"),
    *("LATTICE_CONSTANT", "LATTICE_VECTORS", "LATTICE_PARAMETERS", "ATOMIC_POSITIONS"),
)

DUMPED_STEP = re.compile(rb"\s*MDSTEP:\s*(\d+)")


@dataclass(frozen=True)
class Structure:
    """Contents of a STRU file. labels: of the atoms; box: (3, 3), Å; coord: (N, 3), Å; None: missing."""

    labels: tuple[str, ...]
    lattice_constant: float | None = None
    box: np.ndarray | None = None
    coord: np.ndarray | None = None


@dataclass(frozen=True)
class Dumped:
    """One frame of MD_dump. force: (N, 3), eV/Å; stress: (3, 3), kbar."""

    box: np.ndarray
    coord: np.ndarray
    force: np.ndarray | None
    stress: np.ndarray | None


def read_input(path: Path) -> dict[str, str]:
    """The parameters of an INPUT file, by their names in lower case."""
    return {line[0].lower(): line[1] for line in _words(path) if len(line) > 1}


def read_stru(path: Path) -> Structure:
    """A STRU file. Raises InputError if it has no atoms."""
    try:
        blocks = _blocks(_words(path))
        lines = iter(blocks["ATOMIC_POSITIONS"])
        kind = next(lines)[0].lower()
        labels, numbers = _atoms(lines)
        constant = float(blocks["LATTICE_CONSTANT"][0][0]) * Bohr if blocks["LATTICE_CONSTANT"] else None
        rows = [row[:3] for row in blocks["LATTICE_VECTORS"]]
        box = np.array(rows, dtype=float) * constant if constant and len(rows) == 3 else None
        return Structure(labels, constant, box, _cartesian(numbers, kind, constant, box))
    except (StopIteration, ValueError, IndexError) as error:
        raise InputError(
            f"{path}: not a STRU file of ABACUS ({type(error).__name__}: {error}). Expected ATOMIC_POSITIONS "
            "and for each label its magnetism, the number of its atoms, and their coordinates."
        ) from error


class Dump:
    """MD_dump. Frames are read when they are asked for; a later copy of a step replaces an earlier one.

    labels: of the atoms in STRU.
    """

    def __init__(self, path: Path, labels: Sequence[str]) -> None:
        self.path, self.labels = path, labels
        self._places: dict[int, list[int]] = {}
        with path.open("rb") as file:
            place = 0
            for line in file:
                place += len(line)
                if head := DUMPED_STEP.match(line):
                    self._places.setdefault(int(head[1]), []).append(place)

    def frame(self, step: int | None) -> Dumped | None:
        """The frame of a step; None if it has no complete one. Raises InputError for other atoms."""
        for place in reversed(self._places.get(step, []) if step is not None else []):
            with self.path.open("rb") as file:
                file.seek(place)
                lines = takewhile(lambda line: line.endswith(b"\n") and not DUMPED_STEP.match(line), file)
                words = [line.decode(errors="replace").split() for line in lines]
            with suppress(ValueError, IndexError, KeyError):  # the frame is incomplete
                return _dumped(words, self.labels, f"{self.path}, MDSTEP {step}")
        return None


def _words(path: Path) -> Iterator[list[str]]:
    """The words of each non-empty line, without comments."""
    for line in path.read_text(errors="replace").splitlines():
        if words := re.split(r"#|//", line)[0].split():
            yield words


def _blocks(lines: Iterator[list[str]]) -> dict[str, list[list[str]]]:
    blocks: dict[str, list[list[str]]] = {name: [] for name in BLOCKS}
    current = None
    for words in lines:
        if words[0].upper() in BLOCKS:
            current = words[0].upper()
        elif current:
            blocks[current].append(words)
    return blocks


def _atoms(lines: Iterator[list[str]]) -> tuple[tuple[str, ...], np.ndarray]:
    labels: list[str] = []
    numbers = []
    for (label, *_), _magnetism, (count, *_) in zip(lines, lines, lines, strict=False):
        for _ in range(int(count)):
            numbers.append([float(word) for word in next(lines)[:3]])
            labels.append(label)
    if not labels:
        raise ValueError("no atoms")
    return tuple(labels), np.array(numbers)


def _cartesian(
    numbers: np.ndarray, kind: str, constant: float | None, box: np.ndarray | None
) -> np.ndarray | None:
    if kind == "direct":
        return numbers @ box if box is not None else None
    if kind == "cartesian":
        return numbers * constant if constant else None
    return {"cartesian_angstrom": numbers, "cartesian_au": numbers * Bohr}.get(kind)


def _dumped(words: list[list[str]], labels: Sequence[str], where: str) -> Dumped:
    """One frame. Up to ABACUS 3.1.3 the lattice constant is in Bohr and positions are in units of it."""
    heads = {line[0].rstrip(":"): number for number, line in enumerate(words) if line}
    constant = words[heads["LATTICE_CONSTANT"]]
    angstrom = "Angstrom" in constant
    scale = float(constant[1]) * (1.0 if angstrom else Bohr)
    box = scale * _matrix(words, heads["LATTICE_VECTORS"])
    stress = _matrix(words, heads["VIRIAL"]) if "VIRIAL" in heads else None
    atoms = list(takewhile(bool, words[heads["INDEX"] + 1 :]))
    found = tuple(atom[1] for atom in atoms)
    if found != labels[: len(found)]:
        raise InputError(f"{where}: other atoms than in STRU. Put back the STRU of this run.")
    if len(atoms) < len(labels):
        raise ValueError("cut off")
    columns = np.array([[float(word) for word in atom[2:]] for atom in atoms])
    force = columns[:, 3:6] if "FORCE" in words[heads["INDEX"]] else None
    if columns.shape[1] < (6 if force is not None else 3):
        raise ValueError("cut off")
    return Dumped(box, columns[:, :3] * (1.0 if angstrom else scale), force, stress)


def _matrix(words: list[list[str]], head: int) -> np.ndarray:
    """Three rows of three numbers, below line `head`."""
    return np.array([row[:3] for row in words[head + 1 : head + 4]], dtype=float).reshape(3, 3)
