"""The steps of a calculation that are frames, and what is said of the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeVar

from spinpot.core.errors import InputError
from spinpot.core.notes import Notes

S = TypeVar("S")


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
