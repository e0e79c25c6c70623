"""Helpers for readers of other programs' text files: first bytes, numbers, steps of a calculation."""

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, TypeVar

from spinpot.core.errors import InputError
from spinpot.core.notes import Notes

S = TypeVar("S")

NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eEdD][-+]?\d+)?"


def beginning(path: Path, size: int) -> bytes:
    """The first bytes of a file; empty if the path is not a file."""
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(size)


def opened(path: Path) -> IO[str]:
    """Open a text file, perhaps compressed by gzip."""
    zipped = beginning(path, 2) == b"\x1f\x8b"
    return (gzip.open if zipped else open)(path, "rt", encoding="utf-8", errors="replace")


def whole_lines(path: Path, notes: Notes) -> Iterator[str]:
    """The lines of a text file, perhaps compressed by gzip.

    A killed run may leave a line that is cut off within a number. It is left out, and a note says so.
    """
    with opened(path) as file:
        try:
            for line in file:
                if line.endswith("\n"):
                    yield line
                elif line.strip():
                    notes.add("the file ends within a line, which is not read", str(path))
        except EOFError:
            notes.add("the compressed file is cut off", str(path))
        except (gzip.BadGzipFile, zlib.error) as error:
            raise InputError(f"{path}: the compressed file is damaged ({error}). Copy it again.") from error


def parts(lines: Iterable[str], iteration: re.Pattern[str]) -> Iterator[list[str]]:
    """The lines before the first step, then the lines of each step.

    iteration: matches the head of each electronic iteration and its `step` number; a step begins with its
    first iteration.
    """
    part: list[str] = []
    current = None
    for line in lines:
        found = iteration.search(line)
        if found and found["step"] != current:
            yield part
            current, part = found["step"], []
        part.append(line)
    yield part


def complete(
    steps: Iterable[S | str],
    place: str,
    notes: Notes,
    file: str = "",
    remedies: Mapping[str, str] | None = None,
) -> Iterator[S]:
    """The complete steps; at the end a note counts the others, with the reason.

    steps: a step, or what it lacks. file: the name of the file with the steps. remedies: {lack: what to do},
    for the message if no step is complete.

    Raises InputError if no step is complete.
    """
    total, lacks = 0, Counter[str]()
    for step in steps:
        total += 1
        if isinstance(step, str):
            lacks[step] += 1
        else:
            yield step
    where = f"{place}: {file}" if file else place
    if not total:
        raise InputError(f"{where}: no step of a calculation in it. Check the calculation.")
    if lacks.total() == total:
        why = ", ".join(f"{count} {lack}" for lack, count in lacks.items())
        said = f"none of its {total} steps can be read: {why}" if total > 1 else next(iter(lacks))
        remedy = next((text for lack, text in (remedies or {}).items() if lack in lacks), None)
        raise InputError(f"{where}: {said}. {remedy or 'Correct the calculation.'}")
    for lack, count in lacks.items():
        notes.add(f"{count} of {total} steps left out: {lack}", place)
