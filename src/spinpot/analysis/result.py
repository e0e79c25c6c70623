"""The result of a task of `spinpot analyze`: paragraphs, tables, pictures, numbers and files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from spinpot.report.plots import rounded
from spinpot.report.style import Figure

ZERO = 1e-6  # smaller numbers are shown as 0

Cell = str | int | float | None  # text or int, shown as is; a float, shown with three digits; None, a dash


@dataclass(frozen=True)
class Table:
    """Columns by their headings, units in brackets; a row is as long as there are columns."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """A figure that is drawn once per theme. name: of the png file. alt: a description in words."""

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
