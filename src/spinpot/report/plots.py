"""Pictures: predictions against reference labels, their errors, and errors against training steps.

Figures are made without pyplot, so that no display is needed, in the theme (spinpot.report.style) in force.
A `*_figure` shows all quantities side by side, for a file; a `*_panel` one of them, for a page.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from spinpot.core.quantities import ERRORS, FORCE_MAG, PARTS, QUANTITIES, WHOLE
from spinpot.report.style import Axes, Axis, Figure, faint, ink, new_figure
from spinpot.report.tables import in_loss

Points = list[tuple[str, np.ndarray, np.ndarray]]
"""Element (or ""), reference values and predictions, the latter two of the same shape, in meV."""

MOST_POINTS = 20_000
"""Points drawn per element and panel; more are thinned out evenly, and the errors still count all."""
MOST_BINS = 61  # of a histogram; an odd number, so that the middle one is around zero
LEAST_WIDTH = 1e-6  # meV; labels and predictions may all be zero
MOST_DECADES = 1.7  # a logarithmic axis that spans fewer has numbers at 2 and 5 too


LINES: dict[str, dict[str, Any]] = {
    "training batch": {"alpha": 0.6, "linewidth": 0.8},
    "validation": {"marker": "o", "markersize": 2.5},
    PARTS[0].words: {"linestyle": "--", "linewidth": 1.0},
    PARTS[1].words: {"linestyle": ":", "linewidth": 1.2},
}
"""The lines of a learning curve; the last two are the validation's magnetic force in its parts."""
LINES_OF_ALL = ("training batch", "validation")


def parity_figure(
    points: Mapping[str, Points], elements: Sequence[str], trained: Collection[str] | None = None
) -> Figure:
    """Prediction against label for every quantity that has labels, coloured by element.

    points: by quantity, as spinpot.evaluation.parity has them. elements: the type map. trained: the loss
    terms that were on, by their short names; the others' panels say so.
    """
    return _panels(_draw_titled_parity, points, elements, trained)


def error_histogram_figure(
    points: Mapping[str, Points], elements: Sequence[str], trained: Collection[str] | None = None
) -> Figure:
    """Histograms of prediction − label for every quantity; arguments as for parity_figure.

    The counts are on a logarithmic axis, so that single outliers are seen.
    """
    return _panels(_draw_histogram, points, elements, trained)


def _panels(
    draw: Callable[[Axes, str, Points, Sequence[str]], None],
    panels: Mapping[str, Points],
    elements: Sequence[str],
    trained: Collection[str] | None,
) -> Figure:
    """A figure with one panel for every quantity that has labels."""
    columns = (len(panels) + 1) // 2
    rows = min(len(panels), 2)
    figure = new_figure(3.4 * max(columns, 1), 3.5 * max(rows, 1))
    figure.subplots_adjust(**_margins(figure, columns, 0.5, 0.45), hspace=0.95 / 2.55)
    for place, (quantity, points) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(rows, columns, place)
        draw(axes, quantity, points, elements)
        if not in_loss(quantity, trained):
            axes.set_title("not in the loss", loc="right", fontsize=10)
    return figure


def _margins(figure: Figure, columns: int, bottom: float, top: float) -> dict[str, float]:
    """Room for what is written around panels, in inches; searching for it takes as long as drawing."""
    width, height = figure.get_size_inches()
    left, right, panel = 0.68, 0.12, width / max(columns, 1)
    return {
        "left": left / width,
        "right": 1 - right / width,
        "bottom": bottom / height,
        "top": 1 - top / height,
        "wspace": (left + right) / (panel - left - right),
    }


def parity_panel(quantity: str, points: Points, elements: Sequence[str]) -> Figure:
    """One quantity of parity_figure, without a title."""
    figure, axes = one_panel()
    _draw_parity(axes, quantity, points, elements)
    return figure


def expected_panel(quantity: str, sigma: np.ndarray, error: np.ndarray) -> Figure:
    """Errors of frames against those that the model expects, (F,) each, eV; a line where they are equal."""
    figure, axes = one_panel()
    _, unit = name_and_unit(quantity)
    x, y = (1000.0 * np.maximum(values, LEAST_WIDTH / 1000.0) for values in (sigma, error))
    limits = 0.7 * min(x.min(), y.min()), 1.4 * max(x.max(), y.max())
    axes.plot(limits, limits, color=faint(), linewidth=0.8, zorder=0)
    step = -(-len(x) // MOST_POINTS)
    axes.plot(x[::step], y[::step], ".", color=ink(), alpha=0.6, markeredgewidth=0, rasterized=True)
    axes.set(xscale="log", yscale="log", xlim=limits, ylim=limits, aspect="equal")
    axes.set(xlabel=f"expected error σ ({unit})", ylabel=f"error ({unit})")
    for axis in (axes.xaxis, axes.yaxis):
        plain_numbers(axis)
    return figure


def one_panel() -> tuple[Figure, Axes]:
    """A figure for a page, and the axes that fill it."""
    figure = new_figure(3.4, 3.3)
    return figure, figure.add_axes((0.24, 0.15, 0.72, 0.83))


def histogram(axes: Axes, values: np.ndarray, edges: np.ndarray, colour: str, label: str | None) -> None:
    """A histogram of values (n,) between the edges, as filled steps."""
    counts, _ = np.histogram(values, edges)
    axes.stairs(counts, edges, fill=True, color=colour, alpha=0.25)
    axes.stairs(counts, edges, color=colour, label=label)


def rmse_of(points: Points) -> float:
    """Root mean square of prediction − label over all points and components, meV."""
    return float(np.sqrt(np.concatenate([np.square(x - y).ravel() for _, x, y in points]).mean()))


def rounded(value: float) -> str:
    """Three significant digits, without an exponent for anything a person compares."""
    return f"{value:.0f}" if value >= 100 else f"{value:#.3g}"


def _draw_parity(axes: Axes, quantity: str, points: Points, elements: Sequence[str]) -> None:
    _, unit = name_and_unit(quantity)
    values = np.concatenate([np.concatenate((x.ravel(), y.ravel())) for _, x, y in points])
    # The ends of an axis must be two different numbers.
    least = max(LEAST_WIDTH, 1e-9 * np.abs(values).max())
    middle, half = (values.max() + values.min()) / 2, 0.55 * max(np.ptp(values), least)
    limits = (middle - half, middle + half)
    axes.plot(limits, limits, color=faint(), linewidth=0.8, zorder=0)
    for element, x, y in _per_element(points):
        step = -(-len(x) // MOST_POINTS)
        style: dict[str, Any] = {
            "color": f"C{elements.index(element)}" if element else ink(),
            "alpha": 0.6 if len(x) < 2000 else 0.3,
            "markersize": 7 if len(x) < 200 else 4,
            "rasterized": True,  # in a vector file, thousands of points would be megabytes
        }
        axes.plot(x[::step], y[::step], ".", markeredgewidth=0, label=element, **style)
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    axes.locator_params(nbins=6)
    axes.set(xlabel=f"reference ({unit})", ylabel=f"prediction ({unit})")
    if points[0][0]:
        axes.legend(loc="lower right", markerscale=2, handletextpad=0.1, frameon=False)


def _draw_titled_parity(axes: Axes, quantity: str, points: Points, elements: Sequence[str]) -> None:
    _draw_parity(axes, quantity, points, elements)
    title, unit = name_and_unit(quantity)
    axes.set_title(f"{title}\nrmse {rounded(rmse_of(points))} {unit}", loc="left", fontsize=10)


def _draw_histogram(axes: Axes, quantity: str, points: Points, elements: Sequence[str]) -> None:
    title, unit = name_and_unit(quantity)
    errors = {element: y - x for element, x, y in _per_element(points)}
    every = np.concatenate(list(errors.values()))
    bins = min(2 * int(np.sqrt(len(every))) + 1, MOST_BINS)
    edges = np.linspace(-1, 1, bins + 1) * max(np.abs(every).max(), LEAST_WIDTH)
    axes.axvline(0, color=faint(), linewidth=0.8, zorder=0)
    for element, values in errors.items():
        histogram(axes, values, edges, f"C{elements.index(element)}" if element else ink(), element)
    axes.set_title(f"{title}\nmae {rounded(np.abs(every).mean())} {unit}", loc="left", fontsize=10)
    axes.set(xlim=(edges[0], edges[-1]), yscale="log", ylim=(0.7, None))
    axes.set(xlabel=f"prediction − reference ({unit})", ylabel="count")
    plain_numbers(axes.yaxis)
    if points[0][0]:
        axes.legend(loc="upper right", handlelength=1.2, frameon=False)


def _per_element(points: Points) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Each element with all its reference values and predictions, flat."""
    for element in dict.fromkeys(element for element, _, _ in points):
        own = [(x.ravel(), y.ravel()) for name, x, y in points if name == element]
        x, y = (np.concatenate(side) for side in zip(*own, strict=True))
        yield element, x, y


def learning_curve_figure(columns: Mapping[str, np.ndarray]) -> Figure:
    """Errors on training batches and validation set against the step, their prefactors beneath.

    columns: of a run's metrics.csv. Quantities that were never compared to labels are left out.
    """
    quantities = logged_quantities(columns)
    figure = new_figure(3.4 * max(len(quantities), 1), 4.2)
    if not quantities:
        return figure
    margins = {**_margins(figure, len(quantities), 0.45, 0.6), "hspace": 0.12}
    grid = figure.subplots(
        2, len(quantities), sharex=True, squeeze=False, height_ratios=(3, 1), gridspec_kw=margins
    )
    for quantity, (axes, beneath) in zip(quantities, grid.T, strict=True):
        _draw_errors(axes, columns, quantity)
        _draw_prefactors(beneath, columns, quantity)
        axes.set_title(name_and_unit(quantity)[0], loc="left", fontsize=10)
    grid[1, 0].set_ylabel("prefactor")
    whole = FORCE_MAG.name in quantities
    styles = {name: style for name, style in LINES.items() if name in LINES_OF_ALL or whole}
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=ink(), label=name, **style) for name, style in styles.items()]
    figure.legend(handles=handles, loc="upper center", ncols=len(handles), frameon=False)
    return figure


def learning_curve_panel(columns: Mapping[str, np.ndarray], quantity: str) -> Figure:
    """One quantity's errors with a legend above and its prefactor beneath."""
    figure = new_figure(3.4, 3.9)
    margins = {"left": 0.21, "right": 0.98, "bottom": 0.12, "top": 0.86, "hspace": 0.12}
    axes, beneath = figure.subplots(2, sharex=True, height_ratios=(3, 1), gridspec_kw=margins)
    _draw_errors(axes, columns, quantity)
    _draw_prefactors(beneath, columns, quantity)
    beneath.set_ylabel("prefactor")
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, fontsize=8, frameon=False)
    figure.align_ylabels()
    return figure


def logged_quantities(columns: Mapping[str, np.ndarray]) -> list[str]:
    """The quantities that were compared to labels at some step."""
    return [
        quantity.name
        for quantity in WHOLE
        if any(np.isfinite(columns[f"{part}/{quantity.rmse}"]).any() for part in ("train", "val"))
    ]


def _draw_errors(axes: Axes, columns: Mapping[str, np.ndarray], quantity: str) -> None:
    _, unit = name_and_unit(quantity)
    own = QUANTITIES[quantity]
    colour = f"C{WHOLE.index(own)}"
    drawn = {"training batch": f"train/{own.rmse}", "validation": f"val/{own.rmse}"}
    drawn |= {part.words: f"val/{part.rmse}" for part in PARTS if part.whole == quantity}
    curves = [
        Curve(columns["step"], 1000 * columns[column], {"color": colour, "label": name, **LINES[name]})
        for name, column in drawn.items()
    ]
    draw_curves(axes, curves)
    log_steps(axes)
    axes.set(ylabel=f"rmse ({unit})")


def _draw_prefactors(axes: Axes, columns: Mapping[str, np.ndarray], quantity: str) -> None:
    """The prefactor of a quantity, or those of its parts, in the lines of their errors."""
    drawn = {
        own.pref: LINES.get(own.words, {})
        for own in QUANTITIES.values()
        if quantity in (own.name, own.whole) and np.any(columns.get(own.pref, np.zeros(1)) > 0)
    }
    if drawn:
        values = [columns[name] for name in drawn]
        curves = [Curve(columns["step"], columns[name], {"color": ink(), **drawn[name]}) for name in drawn]
        draw_curves(axes, curves, logarithmic=np.nanmax(values) >= 10 * np.nanmin(values), most=1)
        if axes.get_yscale() == "linear":
            axes.locator_params(axis="y", nbins=3)
    else:
        axes.text(0.5, 0.5, "off", transform=axes.transAxes, ha="center", va="center")
        axes.set_yticks([])
    log_steps(axes)
    axes.set(xlabel="step")


class Curve(NamedTuple):
    """A line through points (n,), and how it is drawn."""

    x: np.ndarray
    y: np.ndarray
    style: dict[str, Any]


CONSTANT = 1.0 + 1e-6
"""Curves whose highest point is less than so many times their lowest are horizontal lines."""


def draw_curves(
    axes: Axes, curves: Sequence[Curve], logarithmic: bool = True, most: float = MOST_DECADES
) -> None:
    """Lines along a logarithmic y axis, which has no place for zeros; where all are zero, along a linear one.

    logarithmic: false for a linear one in any case. most: as in plain_numbers.
    """
    above = any(np.any(curve.y[np.isfinite(curve.y) & (curve.x > 0)] > 0) for curve in curves)
    heights = []
    for x, y, style in curves:
        shown = np.isfinite(y) & (x > 0) & ((y > 0) | (not above))
        axes.plot(x[shown], y[shown], **style)
        heights.append(y[shown])
    if above and logarithmic:
        low, high = np.concatenate(heights).min(), np.concatenate(heights).max()
        if high < CONSTANT * low:  # an axis needs two ends
            axes.set_ylim(low / 2.0, 2.0 * high)
        axes.set_yscale("log")
        plain_numbers(axes.yaxis, most)


def log_steps(axes: Axes) -> None:
    """A logarithmic x axis, where anything is drawn along it."""
    if np.isfinite(axes.xaxis.get_minpos()):
        axes.set_xscale("log")
    if axes.get_xscale() == "log":
        plain_numbers(axes.xaxis)


def plain_numbers(axis: Axis, most: float = MOST_DECADES) -> None:
    """Numbers without exponents along a logarithmic axis; 2 and 5 too where it spans under `most` decades."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())
    low, high = axis.get_view_interval()
    if high < 10**most * low:  # too few powers of ten to read a value from
        axis.set_minor_locator(LogLocator(subs=(2, 5)))
        axis.set_minor_formatter("{x:g}")


def name_and_unit(quantity: str) -> tuple[str, str]:
    """Title and unit of a quantity, as matplotlib writes them."""
    own = ERRORS[quantity]
    return own.title, in_math(own.meV)


def in_math(text: str) -> str:
    """`μ_B` and `F_mag` with their subscripts, as matplotlib writes them."""
    return re.sub(r"(μ|F)_(B|mag)", r"\1$_\\mathrm{\2}$", text)
