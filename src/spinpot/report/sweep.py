"""The runs of a sweep side by side: what was swept against errors and seconds."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich.table import Table

from spinpot.config.rerun import settings_of
from spinpot.console import console
from spinpot.errors import InputError
from spinpot.files import write_atomically
from spinpot.report.pictures import save_figure
from spinpot.report.tables import ERROR_ROWS

ERRORS = ("rmse_e", "rmse_fr", "rmse_fm", "rmse_fm_transverse", "rmse_fm_longitudinal", "rmse_v")


@dataclass(frozen=True)
class Run:
    """A run of a sweep: its folder's name, settings by dotted key, and summary, None if unfinished."""

    name: str
    settings: dict[str, Any]
    summary: dict[str, Any] | None

    def error(self, name: str) -> float | None:
        """A validation error, None where there is none."""
        return None if self.summary is None else self.summary["val"][name]


def write_sweep_table(folder: Path) -> Path:
    """Write sweep.csv and sweep.png of the runs below a folder, and print them sorted by val/score.

    Raises InputError for a folder without runs.
    """
    runs = sorted(read_runs(folder), key=_by_score)
    swept = swept_keys(runs)
    rows = [_row(run, swept) for run in runs]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(folder / "sweep.csv", text.getvalue())
    _print(rows)
    finished = [run for run in runs if run.summary is not None]
    if finished:
        save_figure(trade_off_figure(finished), folder / "sweep.png")
    return folder / "sweep.csv"


def read_runs(folder: Path) -> list[Run]:
    """Every run below a folder. Raises InputError if there is none."""
    runs = []
    for config in sorted(folder.glob("*/config.yaml")):
        summary = config.with_name("summary.json")
        runs.append(
            Run(
                config.parent.name,
                flat(settings_of(config.read_text(encoding="utf-8"))),
                json.loads(summary.read_text()) if summary.exists() else None,
            )
        )
    if not runs:
        raise InputError(f"{folder}: no run folder (with a config.yaml) in it. Give the folder of a sweep.")
    return runs


def flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted key; lists stay whole."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def swept_keys(runs: Sequence[Run]) -> list[str]:
    """The settings that are not the same in all runs."""
    keys = dict.fromkeys(key for run in runs for key in run.settings)
    return [key for key in keys if any(run.settings.get(key) != runs[0].settings.get(key) for run in runs)]


def trade_off_figure(runs: Sequence[Run]) -> Figure:
    """rmse_fm against rmse_fr, coloured by rmse_e, each run by its name."""
    figure = Figure(figsize=(5.2, 4.2), layout="constrained")
    axes = figure.add_subplot()
    points = [
        (1000 * x, 1000 * y, 1000 * (run.error("rmse_e") or 0.0), run.name)
        for run in runs
        if (x := run.error("rmse_fr")) is not None and (y := run.error("rmse_fm")) is not None
    ]
    if points:
        forces, magnetic_forces, energies, names = zip(*points, strict=True)
        dots = axes.scatter(forces, magnetic_forces, c=energies, cmap="viridis", s=40)
        figure.colorbar(dots, label="rmse of the energy (meV/atom)")
        for name, x, y in zip(names, forces, magnetic_forces, strict=True):
            axes.annotate(name, (x, y), textcoords="offset points", xytext=(5, 4), fontsize=8)
    for quantity, label_axis in (("fr", axes.set_xlabel), ("fm", axes.set_ylabel)):
        name, unit = ERROR_ROWS[quantity]
        label_axis(f"rmse of the {name} ({unit})")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _by_score(run: Run) -> float:
    score = run.error("score")
    return float("inf") if score is None else score


def _row(run: Run, swept: Sequence[str]) -> dict[str, Any]:
    summary = run.summary or {}
    return {
        "run": run.name,
        **{key: run.settings.get(key) for key in swept},
        "score": run.error("score"),
        **{name: run.error(name) for name in ERRORS},
        "train_seconds": summary.get("train_seconds"),
        "state": "finished" if run.summary else "unfinished",
    }


def _print(rows: Sequence[dict[str, Any]]) -> None:
    names = {"rmse_e": "E", "rmse_fr": "F", "rmse_fm": "Fm", "rmse_v": "V", "train_seconds": "s"}
    columns = [name for name in rows[0] if name != "state" and (name not in ERRORS or name in names)]
    table = Table(
        title="Validation rmse (meV per atom, Å or μ_B), best score first; in full in sweep.csv",
        title_justify="left",
    )
    for name in columns:
        table.add_column(names.get(name, name.rpartition(".")[2]), justify="right", overflow="fold")
    for row in rows:
        table.add_row(*(_shown(row[name], 1000 if name in ERRORS else 1) for name in columns))
    console.print(table)


def _shown(value: Any, factor: int) -> str:
    if value is None:
        return "–"
    return f"{factor * value:.4g}" if isinstance(value, float) else str(value)
