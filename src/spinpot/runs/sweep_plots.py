"""Pictures of a sweep: errors against each other, and against the step, of all runs at once."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spinpot.core.quantities import ENERGY, ERRORS, FORCE, FORCE_MAG
from spinpot.report.plots import Curve, draw_curves, log_steps, name_and_unit
from spinpot.report.style import Figure, ink, literal, new_figure
from spinpot.runs.runs import Run

RANKS = ("#1488a6", "#8a63c9", "#d4567d", "#e08a2e")
"""From the best run to the worst; to be seen on white and on black."""
UNRANKED = "#8b949e"


def rank_colours(runs: Sequence[Run]) -> dict[str, str]:
    """A colour for each run by its name: along RANKS for those with a score, in the order given."""
    from matplotlib.colors import LinearSegmentedColormap, to_hex

    ranks = LinearSegmentedColormap.from_list("ranks", RANKS)
    ranked = [run.name for run in runs if run.errors.get("score") is not None]
    places = np.linspace(0, 1, len(ranked))
    colours = {name: to_hex(ranks(place)) for name, place in zip(ranked, places, strict=True)}
    return {run.name: colours.get(run.name, UNRANKED) for run in runs}


def trade_off_figure(runs: Sequence[Run]) -> Figure:
    """rmse_fm against rmse_fr, coloured by rmse_e, each run by its name."""
    figure = new_figure(5.2, 4.2, layout="constrained")
    axes = figure.add_subplot()
    points = [
        (1000 * x, 1000 * y, 1000 * (run.errors.get(ENERGY.rmse) or 0.0), run.name)
        for run in runs
        if (x := run.errors.get(FORCE.rmse)) is not None and (y := run.errors.get(FORCE_MAG.rmse)) is not None
    ]
    if points:
        forces, magnetic_forces, energies, names = zip(*points, strict=True)
        # With a rim, the ends of the colour map are seen on white and on black.
        rim: dict[str, Any] = {"edgecolors": ink(), "linewidths": 0.5}
        dots = axes.scatter(forces, magnetic_forces, c=energies, cmap="viridis", s=45, **rim)
        figure.colorbar(dots, label=f"rmse of the {ENERGY.title} ({ENERGY.meV})")
        for name, place in labels(names, np.column_stack((forces, magnetic_forces))).items():
            axes.annotate(literal(name), place, textcoords="offset points", xytext=(5, 4), fontsize=8)
    for quantity, label_axis in ((FORCE, axes.set_xlabel), (FORCE_MAG, axes.set_ylabel)):
        name, unit = name_and_unit(quantity.name)
        label_axis(f"rmse of the {name} ({unit})")
    return figure


def labels(names: Sequence[str], points: np.ndarray) -> dict[str, tuple[float, float]]:
    """Where to write each name; names of points (n, 2) too near to each other are written as one."""
    near = 0.03 * np.ptp(points, axis=0)
    together: list[tuple[list[str], np.ndarray]] = []
    for name, point in zip(names, points, strict=True):
        there = [group for group, place in together if np.all(np.abs(point - place) <= near)]
        if there:
            there[0].append(name)
        else:
            together.append(([name], point))
    return {", ".join(group): (float(x), float(y)) for group, (x, y) in together}


def validation_curves(
    metrics: Mapping[str, dict[str, np.ndarray]], quantity: str, colours: Mapping[str, str]
) -> Figure:
    """One validation error of all runs against the step; the best run, first of the colours, is drawn thick.

    metrics: the columns of the runs' metrics.csv by name. quantity: "score" or a quantity of
    spinpot.core.quantities. colours: see rank_colours.
    """
    figure = new_figure(3.4, 2.9)
    axes = figure.add_axes((0.21, 0.16, 0.77, 0.81))
    column, factor = ("val/score", 1) if quantity == "score" else (f"val/{ERRORS[quantity].rmse}", 1000)
    best = next(iter(colours))
    curves = []
    for name, columns in reversed(list(metrics.items())):
        style: dict[str, Any] = {"linewidth": 1.1, "markersize": 2.5}
        if name == best:
            style = {"linewidth": 2.0, "markersize": 4}
        if column in columns:
            style |= {"label": literal(name), "marker": "o", "color": colours[name]}
            curves.append(Curve(columns["step"], factor * columns[column], style))
    draw_curves(axes, curves)
    log_steps(axes)
    label = "score" if quantity == "score" else f"rmse ({name_and_unit(quantity)[1]})"
    axes.set(xlabel="step", ylabel=label)
    return figure
