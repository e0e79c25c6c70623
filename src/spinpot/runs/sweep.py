"""Compares the runs of a sweep: swept settings, errors and training times."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from spinpot.core.console import console
from spinpot.core.files import write_atomically
from spinpot.core.quantities import QUANTITIES
from spinpot.report.page import REPORT
from spinpot.report.style import LIGHT, save_figure, themed
from spinpot.runs.runs import Run, read_runs, short, swept_keys
from spinpot.runs.sweep_page import sweep_page
from spinpot.runs.sweep_plots import trade_off_figure

SYMBOLS = {quantity.rmse: quantity.symbol for quantity in QUANTITIES.values()}


def write_sweep_table(folder: Path, whole: bool = True) -> Path:
    """Write sweep.csv for the runs below a folder; if whole, print it and write sweep.png and report.html.

    The runs are sorted by val/score. Raises InputError if the folder contains no runs.
    """
    runs = sorted(read_runs(folder), key=_by_score)  # unfinished runs come last
    swept = swept_keys(runs)
    names = (name for run in runs for name in run.errors)
    # The rmse of single elements, such as rmse_fm_transverse/Ni.
    elements = [name for name in dict.fromkeys(names) if name.startswith("rmse_") and "/" in name]
    rows = [_row(run, swept, elements) for run in runs]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(folder / "sweep.csv", text.getvalue())
    if not whole:
        return folder / "sweep.csv"
    _print(rows)
    finished = [run for run in runs if run.summary]
    if finished:
        with themed(LIGHT):
            save_figure(trade_off_figure(finished), folder / "sweep.png")
    write_atomically(folder / REPORT, sweep_page(folder.resolve().name, runs, swept))
    return folder / "sweep.csv"


def _by_score(run: Run) -> float:
    score = run.errors.get("score")
    return float("inf") if score is None else score


def _row(run: Run, swept: Sequence[str], per_element: Sequence[str]) -> dict[str, Any]:
    return {
        "run": run.name,
        **{key: run.settings.get(key) for key in swept},
        "score": run.errors.get("score"),
        **{name: run.errors.get(name) for name in (*SYMBOLS, *per_element)},
        "train_seconds": run.summary.get("train_seconds"),
        "state": run.state,
        "message": run.failure if run.state == "failed" else None,
    }


def _print(rows: Sequence[dict[str, Any]]) -> None:
    hidden = {"message"} if any(row["state"] == "failed" for row in rows) else {"message", "state"}
    columns = [name for name in rows[0] if name not in hidden and "/" not in name]
    title = "Validation rmse (meV per atom, Å or μ_B), best score first; sweep.csv has more digits"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    headers = [{**SYMBOLS, "train_seconds": "s"}.get(name, name.rpartition(".")[2]) for name in columns]
    lines = [[_shown(row[name], 1000 if name in SYMBOLS else 1) for name in columns] for row in rows]
    for header, *cells in zip(headers, *lines, strict=True):
        # A narrow terminal may fold long lines, but must not cut numbers.
        width = max(map(len, (header, *cells)))
        table.add_column(header, justify="right", no_wrap=True, min_width=width)
    for line in lines:
        table.add_row(*line)
    console.print(table, crop=False)


def _shown(value: Any, factor: int) -> str:
    if value is None:
        return "–"
    return short(factor * value) if isinstance(value, float) else str(value)
