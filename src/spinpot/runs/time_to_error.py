"""Finds when runs first reach given errors, and plots errors against time."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spinpot.core.errors import InputError
from spinpot.core.quantities import FORCE, FORCE_MAG, QUANTITIES
from spinpot.report.plots import Curve, draw_curves, name_and_unit
from spinpot.report.style import LIGHT, faint, literal, new_figure, save_figure, themed
from spinpot.runs.metrics_file import read_metrics_file

BOUNDS = {FORCE.name: 6.2e-3, FORCE_MAG.name: 8.3e-3}
"""Default bounds of the validation errors rmse_fr, eV/Å, and rmse_fm, eV/μ_B; see BENCHMARKS.md."""


@dataclass(frozen=True)
class Course:
    """The learning curve of a run: validated steps, errors by quantity (eV, Å, μ_B), seconds per step."""

    name: str
    step: np.ndarray
    errors: Mapping[str, np.ndarray]
    seconds_per_step: float

    def first_step(self, bounds: Mapping[str, float]) -> int | None:
        """The first validated step at which all bounds hold at once."""
        holds = np.all([self.errors[quantity] <= bound for quantity, bound in bounds.items()], axis=0)
        return int(self.step[holds.argmax()]) if holds.any() else None


def read_course(folder: Path, quantities: Sequence[str]) -> Course:
    """Read the curve of a finished run. Raises InputError if it is unfinished or lacks a quantity."""
    try:
        summary = json.loads((folder / "summary.json").read_text())
        columns = read_metrics_file(folder / "metrics.csv").arrays()
    except FileNotFoundError as error:
        raise InputError(
            f"{folder} holds no finished run: it has no {Path(error.filename).name}. Expected a run folder; "
            "resume=auto finishes an interrupted run."
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} holds no finished run: {error}.") from error
    if not isinstance(summary, dict) or not summary.get("seconds_per_step"):
        raise InputError(
            f"{folder / 'summary.json'} has no seconds_per_step, because the run was too short to measure "
            "it. Give a longer run."
        )
    names = [f"val/{QUANTITIES[quantity].rmse}" for quantity in quantities]
    if missing := [name for name in names if name not in columns]:
        raise InputError(
            f"{folder / 'metrics.csv'} has no {', '.join(missing)}: the validation set has no such labels. "
            "Give bounds of other quantities."
        )
    validated = ~np.isnan(columns[names[0]])
    errors = {quantity: columns[name][validated] for quantity, name in zip(quantities, names, strict=True)}
    return Course(folder.name, columns["step"][validated], errors, float(summary["seconds_per_step"]))


def table(courses: Sequence[Course], bounds: Mapping[str, float]) -> str:
    """A Markdown table, one line per run: first step within the bounds, seconds to it, and lowest errors."""
    heads = [f"lowest {own.title} ({own.meV})" for own in (QUANTITIES[quantity] for quantity in bounds)]
    lines = [["run", "s/step", "steps", "seconds", *heads]]
    for course in courses:
        step = course.first_step(bounds)
        reached = ["–", "–"] if step is None else [str(step), f"{step * course.seconds_per_step:.0f}"]
        lowest = [f"{1000 * course.errors[quantity].min():.2f}" for quantity in bounds]
        lines.append([course.name, f"{course.seconds_per_step:.4f}", *reached, *lowest])
    rows = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([rows[0], f"|{'---|' * len(lines[0])}", *rows[1:]])


def write_time_to_error(courses: Sequence[Course], bounds: Mapping[str, float], path: Path) -> None:
    """Write a PNG of errors and bounds against time, where time is step × seconds per step."""
    with themed(LIGHT):
        figure = new_figure(3.6 * len(bounds), 3.1, layout="constrained")
        for axes, quantity in zip(figure.subplots(1, len(bounds), squeeze=False)[0], bounds, strict=True):
            curves = []
            for course in courses:
                seconds, errors = course.step * course.seconds_per_step, 1000 * course.errors[quantity]
                curves.append(Curve(seconds, errors, {"label": literal(course.name)}))
            draw_curves(axes, curves)
            axes.axhline(1000 * bounds[quantity], color=faint(), zorder=0)
            label, unit = name_and_unit(quantity)
            axes.set(xlabel="seconds of steps", ylabel=f"{label}\nrmse ({unit})")
        axes.legend(frameon=False, fontsize=8)
        save_figure(figure, path)
