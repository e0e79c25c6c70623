"""ABACUS' files other than the log: INPUT, STRU, MD_dump."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase.units import Bohr

from spinpot.core.errors import InputError

BLOCKS = (
    *("ATOMIC_SPECIES", "NUMERICAL_ORBITAL", "NUMERICAL_DESCRIPTOR", "PAW_FILES", "ABFS_ORBITAL"),
    *("LATTICE_CONSTANT", "LATTICE_VECTORS", "LATTICE_PARAMETERS", "ATOMIC_POSITIONS"),
)


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


def read_dump(path: Path, labels: Sequence[str]) -> dict[int, Dumped]:
    """{step: frame} for the complete frames of MD_dump with these atoms; a later copy replaces an earlier."""
    frames = {}
    for block in re.split(r"^\s*MDSTEP:", path.read_text(errors="replace"), flags=re.MULTILINE)[1:]:
        try:
            frames[int(block.split()[0])] = _dumped(block.splitlines(), labels)
        except (ValueError, IndexError, KeyError):  # the block is incomplete
            continue
    return frames


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


def _dumped(lines: list[str], labels: Sequence[str]) -> Dumped:
    """One block. Up to ABACUS 3.1.3 the lattice constant is in Bohr and positions are in units of it."""
    words = [line.split() for line in lines]
    heads = {line[0].rstrip(":"): number for number, line in enumerate(words) if line}
    constant = words[heads["LATTICE_CONSTANT"]]
    angstrom = "Angstrom" in constant
    scale = float(constant[1]) * (1.0 if angstrom else Bohr)
    box = scale * _matrix(words, heads["LATTICE_VECTORS"])
    stress = _matrix(words, heads["VIRIAL"]) if "VIRIAL" in heads else None
    start = heads["INDEX"] + 1
    atoms = words[start : start + len(labels)]
    if [atom[1] for atom in atoms] != list(labels):
        raise ValueError("other atoms")
    columns = np.array([[float(word) for word in atom[2:]] for atom in atoms])
    force = columns[:, 3:6] if "FORCE" in words[heads["INDEX"]] else None
    if columns.shape[1] < (6 if force is not None else 3):
        raise ValueError("cut off")
    return Dumped(box, columns[:, :3] * (1.0 if angstrom else scale), force, stress)


def _matrix(words: list[list[str]], head: int) -> np.ndarray:
    """Three rows of three numbers, below line `head`."""
    return np.array([row[:3] for row in words[head + 1 : head + 4]], dtype=float).reshape(3, 3)
