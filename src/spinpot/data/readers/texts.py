"""Helpers for readers of other programs' text files: first bytes, numbers, steps of a calculation."""

import gzip
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
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


def opened(path: Path, errors: str = "replace") -> IO[str]:
    """Open a text file, perhaps compressed by gzip. errors: handling of invalid UTF-8, as in open()."""
    zipped = beginning(path, 2) == b"\x1f\x8b"
    return (gzip.open if zipped else open)(path, "rt", encoding="utf-8", errors=errors)


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
    steps: Sequence[S],
    lacks: Sequence[str],
    place: str,
    notes: Notes,
    file: str = "",
    remedies: Mapping[str, str] | None = None,
) -> list[S]:
    """The complete steps; a note counts the others, with the reason.

    lacks: what each step lacks; empty if it is complete. file: the name of the file with the steps.
    remedies: {lack: what to do}, for the message if no step is complete.

    Raises InputError if no step is complete.
    """
    where = f"{place}: {file}" if file else place
    if not steps:
        raise InputError(f"{where}: no step of a calculation in it. Check the calculation.")
    counts = Counter(lack for lack in lacks if lack)
    if all(lacks):
        why = ", ".join(f"{count} {lack}" for lack, count in counts.items())
        said = f"none of its {len(steps)} steps can be read: {why}" if len(steps) > 1 else lacks[0]
        remedy = next((text for lack, text in (remedies or {}).items() if lack in counts), None)
        raise InputError(f"{where}: {said}. {remedy or 'Correct the calculation.'}")
    for lack, count in counts.items():
        notes.add(f"{count} of {len(steps)} steps left out: {lack}", place)
    return [step for step, lack in zip(steps, lacks, strict=True) if not lack]
