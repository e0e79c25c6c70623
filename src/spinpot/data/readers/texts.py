"""What readers of other programs' files share: how files begin, numbers, and the steps of a calculation."""

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
    """The first bytes of a file; none of what is no file."""
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(size)


def opened(path: Path, errors: str = "replace") -> IO[str]:
    """A text, perhaps compressed by gzip. errors: what becomes of bytes that are no UTF-8."""
    zipped = beginning(path, 2) == b"\x1f\x8b"
    return (gzip.open if zipped else open)(path, "rt", encoding="utf-8", errors=errors)


def parts(lines: Iterable[str], iteration: re.Pattern[str]) -> Iterator[list[str]]:
    """What comes before the first step, and each step: from its first iteration to that of the next.

    iteration: at the head of each electronic iteration, with the number of its `step`.
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
    """The steps that lack nothing; the others are counted, with the reason.

    lacks: what each step lacks, empty for a frame. file: the one at the place that holds the steps.
    remedies: what to do where no step is a frame, for some of the lacks.

    Raises InputError where no step is a frame.
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
