"""Tables: the data at the start and the errors at the end, in the terminal; the errors as rows for a page."""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spinpot.core.console import print_line, print_table
from spinpot.core.quantities import ERRORS, QUANTITIES, SCALED, Quantity

Errors = Mapping[str, float | None]
"""As ErrorMetric gives them, in eV; NaN or None where nothing was labelled."""


@dataclass(frozen=True)
class ErrorRow:
    """One quantity of a table of errors, over all elements or one of them.

    values: the rmse of each column, in meV; mae: of the first. None where there is none. trained: whether the
    loss had its term.
    """

    quantity: Quantity
    element: str | None
    trained: bool
    values: list[float | None]
    mae: float | None


def error_rows(columns: Mapping[str, Errors], trained: Collection[str] | None = None) -> list[ErrorRow]:
    """The rmse of every quantity with labels, each followed by those of its elements.

    columns: errors by the name of who predicted; the first decides which elements there are. trained: the
    loss terms that were on, by their short names; None where that makes no difference.
    """
    first, *_ = columns.values()
    rows = []
    for quantity in ERRORS.values():
        if all(_meV(errors.get(quantity.rmse)) is None for errors in columns.values()):
            continue
        ends = ["", *(name[len(quantity.rmse) :] for name in first if name.startswith(f"{quantity.rmse}/"))]
        on = in_loss(quantity.name, trained)
        for end in ends:
            values = [_meV(errors.get(quantity.rmse + end)) for errors in columns.values()]
            mae = _meV(first.get(quantity.mae + end))
            rows.append(ErrorRow(quantity, end[1:] or None, on, values, mae))
    return rows


def in_loss(quantity: str, trained: Collection[str] | None) -> bool:
    """Whether the loss had a term of a quantity, of the whole it is a part of, or of a part of it."""
    own = QUANTITIES[quantity.removesuffix(SCALED)]
    return trained is None or any(
        own.name == term or own.whole == term or QUANTITIES[term].whole == own.name for term in trained
    )


def without_repetition(rows: Sequence[ErrorRow]) -> list[tuple[ErrorRow, bool]]:
    """The rows, and whether each begins a quantity; that over all elements is left out if there is one."""
    counts = Counter(row.quantity for row in rows)
    single = {quantity for quantity, number in counts.items() if number == 2}
    kept = [row for row in rows if row.element is not None or row.quantity not in single]
    return [(row, row.element is None or row.quantity in single) for row in kept]


def label_scale_in_words(scale: Mapping[str, float] | None) -> str:
    """What is compared with the labels of the magnetic force, where loss.label_scale_fm was set."""
    if not scale:
        return ""
    numbers = ", ".join(f"{element} {number:.4f}" for element, number in scale.items())
    return (
        f"The loss took the labels of the magnetic force as a multiple of −∂E/∂S ({numbers}). The errors are "
        "of −∂E/∂S itself, but for the rows “scaled”, which are of the multiple; so is the score."
    )


def print_label_scale(scale: Mapping[str, float] | None) -> None:
    """The same in the terminal. scale: by element; None without loss.label_scale_fm."""
    if scale:
        print_line(label_scale_in_words(scale))


def _meV(value: float | None) -> float | None:  # noqa: N802
    return None if value is None or math.isnan(value) else 1000 * value


def print_errors(title: str, columns: Mapping[str, Errors], trained: Collection[str] | None = None) -> None:
    """A table of rmse, quantities down and predictors across; quantities without labels are left out.

    trained: the loss terms that were on, by their short names; the others' rows say so.
    """
    # Of many, one word a line, so that the quantities keep their room.
    heads = ["\n".join(name.split()) if len(columns) > 2 else name for name in columns]
    lines = []
    for row in error_rows(columns, trained):
        indent = "  " * bool(row.quantity.whole)
        label = indent + row.quantity.words
        if row.element:
            # In the same column: a terminal of 80 characters has no room for another.
            label = f"{indent}  {row.element}"
        elif not row.trained:
            label += " (not in the loss)"
        values = ("–" if value is None else f"{value:.3f}" for value in row.values)
        lines.append((label, *values, row.quantity.meV))
    print_table(f"{title}, rmse", ("quantity", *heads, "unit"), lines, ("quantity", "unit"))


def print_model_of_file(path: Path, changes: list[tuple[str, Any, Any]]) -> None:
    """What the config said of a model that is taken from a file."""
    print_line(f"The model is that of {path}.")
    if changes:
        title, columns = "Settings of the config's model that do not count", ("key", "config", "file")
        rows = [(f"model.{key}", str(was), str(now)) for key, was, now in changes]
        print_table(title, columns, rows, columns)


def print_changes(settings: list[tuple[str, Any, Any]], data: list[tuple[str, str, str]]) -> None:
    """What differs from the run that is resumed: settings, and sets of data by their fingerprints."""
    changes = [*settings, *((f"frames of data.{name}", then, now) for name, then, now in data)]
    if not changes:
        return
    changed = " and ".join(["a changed config"] * bool(settings) + ["changed data"] * bool(data))
    columns = ("key", "then", "now")
    print_table(f"Resuming with {changed}", columns, (map(str, row) for row in changes), columns)
    if data:
        print_line(
            f"The frames or labels of {' and '.join(f'data.{name}' for name, _, _ in data)} are not those of "
            "before, as their fingerprints show: this is no exact continuation."
        )
