"""Pictures: predictions against reference labels, their errors, and errors against training steps.

Figures are made without pyplot, so that nothing is global and no display is needed.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from spinpot.data.systems import System
from spinpot.loss.metrics import split_along
from spinpot.report.tables import ERROR_ROWS

Points = list[tuple[str, np.ndarray, np.ndarray]]
"""Element (or ""), reference values and predictions, the latter two of the same shape, in meV."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""One per element, told apart by colour-blind eyes too (Okabe and Ito)."""
NEUTRAL = "#404040"
MOST_POINTS = 20_000
"""Points drawn per element and panel; more are thinned out evenly, and the errors still count all."""
MOST_BINS = 61
"""Of a histogram; an odd number, so that the middle one is around zero."""


LINES: dict[str, dict[str, Any]] = {
    "training batch": {"alpha": 0.35, "linewidth": 0.8},
    "validation": {"marker": "o", "markersize": 2.5},
    "transverse": {"linestyle": "--", "linewidth": 1.0},
    "longitudinal": {"linestyle": ":", "linewidth": 1.2},
}
"""The lines of a learning curve; the last two are the validation's magnetic force in its parts."""
LINES_OF_ALL = ("training batch", "validation")


def parity_figure(
    systems: Sequence[System],
    predictions: Sequence[dict[str, np.ndarray]],
    magnetic: Sequence[bool],
    trained: Collection[str] | None = None,
) -> Figure:
    """Prediction against label for every quantity that has labels, coloured by element.

    predictions: per system, arrays under the names and shapes of spinpot.conventions. magnetic: whether
    each element of the type map carries spin. trained: the loss terms that were on, by their short names;
    the others' panels say so. Energies are per atom and relative to the labels' mean.
    """
    return _panels(_draw_parity, systems, predictions, magnetic, trained)


def error_histogram_figure(
    systems: Sequence[System],
    predictions: Sequence[dict[str, np.ndarray]],
    magnetic: Sequence[bool],
    trained: Collection[str] | None = None,
) -> Figure:
    """How often which difference of prediction and label occurs; arguments as for parity_figure.

    The counts are on a logarithmic axis, so that single outliers are seen.
    """
    return _panels(_draw_histogram, systems, predictions, magnetic, trained)


def _panels(
    draw: Callable[[Axes, str, Points, dict[str, str]], None],
    systems: Sequence[System],
    predictions: Sequence[dict[str, np.ndarray]],
    magnetic: Sequence[bool],
    trained: Collection[str] | None,
) -> Figure:
    """A figure with one panel for every quantity that has labels."""
    panels = {
        name: points for name, points in _parity_points(systems, predictions, magnetic).items() if points
    }
    columns = (len(panels) + 1) // 2
    rows = min(len(panels), 2)
    figure = Figure(figsize=(3.4 * max(columns, 1), 3.5 * max(rows, 1)), layout="constrained")
    elements = systems[0].type_map
    colours = dict(zip(elements, COLOURS * len(elements), strict=False))
    for place, (quantity, points) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(rows, columns, place)
        draw(axes, quantity, points, colours)
        axes.spines[["top", "right"]].set_visible(False)
        if trained is not None and quantity.split("_")[0] not in trained:
            axes.set_title("not in the loss", loc="right", fontsize=10)
    return figure


def _parity_points(
    systems: Sequence[System], predictions: Sequence[dict[str, np.ndarray]], magnetic: Sequence[bool]
) -> dict[str, Points]:
    """The points of every panel, by the metrics' names of the quantities."""
    panels: dict[str, Points] = {name: [] for name in ("e", "fr", "fm_transverse", "fm_longitudinal", "v")}
    energies = [system.energy / system.n_atoms for system in systems if system.energy is not None]
    mean = np.concatenate(energies).mean() if energies else 0.0
    for system, predicted in zip(systems, predictions, strict=True):
        n = system.n_atoms
        if system.energy is not None:
            panels["e"].append(("", system.energy / n - mean, predicted["energy"] / n - mean))
        if system.virial is not None:
            panels["v"].append(("", system.virial / n, predicted["virial"] / n))
        for kind in np.unique(system.types):
            own, element = system.types == kind, system.type_map[kind]
            if system.force is not None:
                panels["fr"].append((element, system.force[:, own], predicted["force"][:, own]))
            moment = np.linalg.norm(system.spin[:, own], axis=-1) > 0
            if system.force_mag is not None and magnetic[kind] and moment.any():
                spin = system.spin[:, own][moment]
                labels = _split(system.force_mag[:, own][moment], spin)
                found = _split(predicted["force_mag"][:, own][moment], spin)
                panels["fm_transverse"].append((element, labels[0], found[0]))
                panels["fm_longitudinal"].append((element, labels[1], found[1]))
    return {name: [(e, 1000 * x, 1000 * y) for e, x, y in points] for name, points in panels.items()}


def _split(force_mag: np.ndarray, spin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    across, along = split_along(torch.from_numpy(force_mag), torch.from_numpy(spin))
    return across.numpy(), along.numpy()


def _draw_parity(axes: Axes, quantity: str, points: Points, colours: dict[str, str]) -> None:
    title, unit = _name(quantity)
    values = np.concatenate([np.concatenate((x.ravel(), y.ravel())) for _, x, y in points])
    middle, half = (values.max() + values.min()) / 2, 0.55 * max(np.ptp(values), 1e-6)
    limits = (middle - half, middle + half)
    axes.plot(limits, limits, color="0.75", linewidth=0.8, zorder=0)
    for element, x, y in _per_element(points):
        step = -(-len(x) // MOST_POINTS)
        style: dict[str, Any] = {
            "color": colours.get(element, NEUTRAL),
            "alpha": 0.6 if len(x) < 2000 else 0.3,
        }
        axes.plot(x[::step], y[::step], ".", markersize=4, markeredgewidth=0, label=element, **style)
    squares = np.concatenate([np.square(x - y).ravel() for _, x, y in points])
    axes.set_title(f"{title}\nrmse {_digits(np.sqrt(squares.mean()))} {unit}", loc="left", fontsize=10)
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    axes.set(xlabel=f"reference ({unit})", ylabel=f"prediction ({unit})")
    if points[0][0]:
        axes.legend(loc="lower right", markerscale=2.5, handletextpad=0.1, frameon=False)


def _draw_histogram(axes: Axes, quantity: str, points: Points, colours: dict[str, str]) -> None:
    title, unit = _name(quantity)
    errors = {element: y - x for element, x, y in _per_element(points)}
    every = np.concatenate(list(errors.values()))
    bins = min(2 * int(np.sqrt(len(every))) + 1, MOST_BINS)
    edges = np.linspace(-1, 1, bins + 1) * max(np.abs(every).max(), 1e-6)
    axes.axvline(0, color="0.75", linewidth=0.8, zorder=0)
    for element, values in errors.items():
        colour = colours.get(element, NEUTRAL)
        counts, _ = np.histogram(values, edges)
        axes.stairs(counts, edges, fill=True, color=colour, alpha=0.25)
        axes.stairs(counts, edges, color=colour, label=element)
    axes.set_title(f"{title}\nmae {_digits(np.abs(every).mean())} {unit}", loc="left", fontsize=10)
    axes.set(xlim=(edges[0], edges[-1]), yscale="log", ylim=(0.7, None))
    axes.set(xlabel=f"prediction − reference ({unit})", ylabel="how often")
    _readable_powers(axes)
    if points[0][0]:
        axes.legend(loc="upper right", handlelength=1.2, frameon=False)


def _per_element(points: Points) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Each element with all its reference values and predictions, flat."""
    for element in dict.fromkeys(element for element, _, _ in points):
        own = [(x.ravel(), y.ravel()) for name, x, y in points if name == element]
        x, y = (np.concatenate(side) for side in zip(*own, strict=True))
        yield element, x, y


def _digits(error: float) -> str:
    return f"{error:.0f}" if error >= 100 else f"{error:#.3g}"


def learning_curve_figure(metrics_csv: Path) -> Figure:
    """Errors on training batches and validation set against the step, their prefactors beneath.

    metrics_csv: a run's metrics.csv. Quantities that were never compared to labels are left out.
    """
    columns = _read_columns(metrics_csv)
    quantities = [
        name
        for name in ("e", "fr", "fm", "v")
        if any(np.isfinite(columns[f"{part}/rmse_{name}"]).any() for part in ("train", "val"))
    ]
    figure = Figure(figsize=(3.4 * max(len(quantities), 1), 4.2), layout="constrained")
    if not quantities:
        return figure
    grid = figure.subplots(2, len(quantities), sharex=True, squeeze=False, height_ratios=(3, 1))
    for quantity, colour, (axes, beneath) in zip(quantities, COLOURS, grid.T, strict=False):
        _draw_errors(axes, columns, quantity, colour)
        _draw_prefactor(beneath, columns["step"], columns[f"pref_{quantity}"])
    grid[1, 0].set_ylabel("prefactor")
    styles = {name: style for name, style in LINES.items() if name in LINES_OF_ALL or "fm" in quantities}
    handles = [Line2D([], [], color=NEUTRAL, label=name, **style) for name, style in styles.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False)
    return figure


def _draw_errors(axes: Axes, columns: dict[str, np.ndarray], quantity: str, colour: str) -> None:
    title, unit = _name(quantity)
    drawn = {"training batch": f"train/rmse_{quantity}", "validation": f"val/rmse_{quantity}"}
    if quantity == "fm":
        drawn |= {part: f"val/rmse_fm_{part}" for part in ("transverse", "longitudinal")}
    for name, column in drawn.items():
        _line(axes, columns["step"], 1000 * columns[column], color=colour, **LINES[name])
    axes.set_title(title, loc="left", fontsize=10)
    axes.set(ylabel=f"rmse ({unit})", xscale="log", yscale="log")
    axes.spines[["top", "right"]].set_visible(False)
    _readable_powers(axes)


def _readable_powers(axes: Axes) -> None:
    """Plain numbers on a logarithmic y axis, enough of them to read a value from."""
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    low, high = axes.get_ylim()
    if high < 50 * low:
        axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        axes.yaxis.set_minor_formatter("{x:g}")


def _draw_prefactor(axes: Axes, step: np.ndarray, prefactor: np.ndarray) -> None:
    axes.set(xscale="log", xlabel="step")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.spines[["top", "right"]].set_visible(False)
    if np.any(prefactor > 0):
        _line(axes, step, prefactor, color=NEUTRAL)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.text(0.5, 0.5, "off", transform=axes.transAxes, ha="center", va="center")
        axes.set_yticks([])


def _line(axes: Axes, x: np.ndarray, y: np.ndarray, **style: Any) -> None:
    """A line through the points that a logarithmic axis can show."""
    shown = np.isfinite(y) & (y > 0) & (x > 0)
    axes.plot(x[shown], y[shown], **style)


def _read_columns(metrics_csv: Path) -> dict[str, np.ndarray]:
    """The columns of metrics.csv, NaN where a cell is empty."""
    with metrics_csv.open(newline="") as file:
        reader = csv.DictReader(file)
        names, rows = reader.fieldnames or (), list(reader)
    return {name: np.array([float(row[name] or "nan") for row in rows]) for name in names}


def _name(quantity: str) -> tuple[str, str]:
    """Title and unit of a quantity."""
    label, unit = ERROR_ROWS[quantity]
    if quantity.startswith("fm_"):
        label = f"magnetic force, {label.strip()}"
    return label, unit.replace("μ_B", "μ$_\\mathrm{B}$")
