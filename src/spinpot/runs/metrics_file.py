"""Reads metrics.csv. A crash of the machine may have truncated its last lines or filled them with zeros."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spinpot.core.console import print_line


@dataclass(frozen=True)
class MetricsFile:
    """The columns of a metrics.csv, its valid rows with increasing steps, and the number of damaged lines."""

    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    damaged: int

    def arrays(self) -> dict[str, np.ndarray]:
        """The columns, NaN where a cell is empty."""
        return {name: np.array([float(row[name] or "nan") for row in self.rows]) for name in self.columns}


def read_metrics_file(path: Path) -> MetricsFile:
    """Read a metrics.csv; damaged lines are counted and skipped. Raises OSError if it cannot be read."""
    text = path.read_bytes().decode(errors="replace").replace("\r\n", "\n")
    header, *lines = text.split("\n")
    unfinished = bool(lines.pop()) if lines else bool(header)
    columns = tuple(next(csv.reader([header]), ())) if "\n" in text else ()
    rows: list[dict[str, str]] = []
    for line in lines:
        row = _row(line, columns)
        if row and (not rows or int(row["step"]) > int(rows[-1]["step"])):
            rows.append(row)
    return MetricsFile(columns, tuple(rows), len(lines) - len(rows) + unfinished)


def read_columns(path: Path, say: bool = True) -> dict[str, np.ndarray]:
    """The columns for pictures; empty without a file. say: whether to report damaged lines."""
    if not path.exists():
        return {}
    found = read_metrics_file(path)
    if say:
        say_damaged(path, found, "left out of the pictures")
    return found.arrays()


def say_damaged(path: Path, found: MetricsFile, what: str) -> None:
    """Print the number of damaged lines, if any. what: what happens to them, e.g. "dropped"."""
    if found.damaged:
        one = found.damaged == 1
        lines = "1 damaged line" if one else f"{found.damaged} damaged lines"
        print_line(f"{path}: {lines}, perhaps from a crash, {'is' if one else 'are'} {what}.")


def _row(line: str, columns: tuple[str, ...]) -> dict[str, str] | None:
    """The cells of a line by column, as text; None if the line is damaged."""
    values = line.split(",")
    if len(values) != len(columns):
        return None
    cells = dict(zip(columns, values, strict=True))
    try:
        int(cells["step"])
        for value in values:
            float(value or "nan")
    except (KeyError, ValueError):
        return None
    return cells
