"""J against the distance of the pair, and spin-wave energies along a path."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from ase.dft.kpoints import BandPath

from spinpot.analysis.exchange_tensors import Exchange
from spinpot.analysis.limits import Limits
from spinpot.analysis.measured import HIGHEST, LABEL
from spinpot.analysis.shells import is_collinear, pair_labels
from spinpot.report.style import Axes, Figure, faint, ink, new_figure

SMALLEST = 1e-3  # meV; the logarithmic axis ends here, or higher


def exchange_figure(limits: Limits) -> Figure:
    """J on a linear axis, and its size on a logarithmic one; antiparallel pairs are open.

    Pairs that the training data do not determine are grey. Pairs whose J is zero due to the cutoff are left
    out.
    """
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(6.8, 3.1, layout="constrained")
    linear, logarithmic = figure.subplots(1, 2)
    exchange, far = limits.found, limits.far
    J = np.where(limits.beyond, np.nan, 1000.0 * exchange.isotropic)
    _scatter(linear, exchange, J, far)
    linear.axhline(0.0, color=faint(), linewidth=0.8, zorder=0)
    linear.set(xlabel="distance (Å)", ylabel="J (meV)")
    if len(linear.get_legend_handles_labels()[0]) > 1:
        linear.legend(frameon=False)
    _scatter(logarithmic, exchange, np.abs(J), far)
    logarithmic.set(xlabel="distance (Å)", ylabel="|J| (meV)", yscale="log")
    logarithmic.set_ylim(bottom=max(SMALLEST, 0.5 * np.nanmin(np.abs(J))), top=2.0 * np.nanmax(np.abs(J)))
    for axes in (linear, logarithmic):
        axes.xaxis.set_major_locator(MaxNLocator(6))
    if far.any():
        figure.suptitle("grey: not determined by the training data", fontsize=8)
    return figure


def _scatter(axes: Axes, exchange: Exchange, values: np.ndarray, far: np.ndarray) -> None:
    labels = pair_labels(exchange)
    collinear = is_collinear(exchange)
    antiparallel = collinear & (exchange.alignment < 0.0)
    for number, label in enumerate(sorted(set(labels))):
        for is_open, word in ((False, "parallel"), (True, "antiparallel")):
            own = (labels == label) & (antiparallel == is_open) & np.isfinite(values)
            style: dict[str, Any] = {"markersize": 4.5}
            if is_open:
                style |= {"markersize": 8, "markerfacecolor": "none"}
            name: str | None = f"{label}, {word}" if collinear else label
            for shown, colour in ((own & ~far, f"C{number}"), (own & far, faint())):
                if shown.any():
                    at = exchange.distance[shown], values[shown]
                    axes.plot(*at, "o", label=name, color=colour, **style)
                    name = None


def magnon_figure(
    path: BandPath, energies: np.ndarray, compared: np.ndarray | None, warning: str = ""
) -> Figure:
    """The model's branches (K, M) in meV, and those of measured constants, dashed; a warning above."""
    figure = new_figure(6.0, 3.6, layout="constrained")
    axes = figure.add_subplot()
    x, places, names = path.get_linear_kpoint_axis()
    jumps = np.flatnonzero(np.diff(x) == 0.0) + 1
    x, energies = np.insert(x, jumps, np.nan), np.insert(energies, jumps, np.nan, axis=0)
    mark_corners(axes, zip(places, (name.replace("G", "Γ") for name in names), strict=True))
    axes.plot(x, energies, color="C0", linewidth=1.6, label=["model", *[None] * (energies.shape[1] - 1)])
    if compared is not None:
        compared = np.insert(compared, jumps, np.nan, axis=0)
        labels = [LABEL, *[None] * (compared.shape[1] - 1)]
        axes.plot(x, compared, color="C1", linewidth=1.0, linestyle="--", label=labels)
        axes.axhline(HIGHEST, color=ink(), linewidth=0.8, linestyle=":", label="highest measured")
    axes.set(xlim=(x[0], x[-1]), ylabel="ħω (meV)")
    axes.set_title(warning, fontsize=8)
    axes.set_ylim(bottom=min(0.0, 1.05 * float(np.nanmin(energies))))
    if compared is not None:
        figure.legend(loc="outside upper left", ncols=3, frameon=False)
    return figure


def mark_corners(axes: Axes, corners: Iterable[tuple[float, str]]) -> None:
    """A line and a name at each corner of a path, by its place along the axis; two names where it jumps."""
    names: dict[float, str] = {}
    for place, name in corners:
        names[place] = f"{names[place]}|{name}" if place in names else name
    for place in names:
        axes.axvline(place, color=faint(), linewidth=0.8, zorder=0)
    axes.set_xticks(list(names), list(names.values()))
