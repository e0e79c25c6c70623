"""What a task of spinpot analyze hands back, to be printed, drawn and written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from spinpot.report.plots import rounded
from spinpot.report.style import Figure

ZERO = 1e-6  # numbers below are shown as 0

Cell = str | int | float | None  # text as it is to be read; a number of three digits; or nothing


@dataclass(frozen=True)
class Table:
    """Columns by their headings, units in brackets; a row is as long as there are columns."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """A figure, drawn anew for each theme. name: of the png file. alt: what it shows, in words."""

    name: str
    title: str
    alt: str
    draw: Callable[[], Figure]


@dataclass(frozen=True)
class Result:
    """One section of the page.

    title: its heading. paragraphs: what was found, `μ_B` with its underscore. method: how it was computed,
    and checks. numbers: plain data for analysis.json. files: contents by file name.
    """

    title: str
    paragraphs: Sequence[str] = ()
    method: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    numbers: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str | bytes] = field(default_factory=dict)


def shown(cell: Cell) -> str:
    """A cell as text."""
    if cell is None:
        return "–"
    if isinstance(cell, float) and abs(cell) < ZERO:
        return "0"
    return "−" * (cell < 0) + rounded(abs(cell)) if isinstance(cell, float) else str(cell)
