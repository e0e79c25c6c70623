"""Pictures of an audit: factors of the labels, works against energies, lengths and tilts of the moments."""

from collections.abc import Mapping, Sequence

import numpy as np

from spinpot.audit.audited import Audited, labels_of
from spinpot.audit.work import Work, short_label
from spinpot.data.sample import thinned
from spinpot.data.systems import System
from spinpot.report.plots import histogram, in_math, one_panel
from spinpot.report.style import Figure, faint, ink, literal, new_figure

MOST_ERROR = 0.3  # factors with a larger standard error are not drawn
BINS = 40
WIDEST = 24  # characters of a name beside an axis


def factors_figure(works: Mapping[str, Work]) -> Figure:
    """Label over derivative of the energy with its standard error, a row per system, a colour per label."""
    labels = labels_of(works)
    figure = new_figure(6.0, 1.1 + 0.36 * len(works), layout="constrained")
    axes = figure.add_subplot()
    axes.axvline(1, color=faint(), linewidth=1.5, zorder=0)
    for number, label in enumerate(labels):
        place = (number - (len(labels) - 1) / 2) * 0.6 / max(len(labels), 1)
        points = [
            (factor.value, row + place, factor.error)
            for row, work in enumerate(works.values())
            if (factor := work.factors.get(label))
            and factor.value is not None
            and (factor.error or 0) < MOST_ERROR
        ]
        value, height, error = np.array(points).reshape(-1, 3).T
        axes.errorbar(
            value,
            height,
            xerr=error,
            fmt="o",
            markersize=4,
            color=f"C{number}",
            label=in_math(short_label(label)),
        )
    axes.set_yticks(range(len(works)), [literal(_abridged(name)) for name in works])
    axes.set(ylim=(len(works) - 0.5, -0.5), xlabel="label / derivative of the energy")
    axes.tick_params(axis="y", length=0)
    figure.legend(loc="outside upper center", ncols=min(len(labels), 4), fontsize=8, frameon=False)
    return figure


def _abridged(name: str) -> str:
    """A name with its middle left out if it has no room beside the axis."""
    return name if len(name) <= WIDEST else f"{name[: WIDEST // 2]}…{name[1 - WIDEST // 2 :]}"


def work_figure(work: Work) -> Figure:
    """The work of the labels between pairs of frames against the differences of the energies."""
    figure, axes = one_panel()
    x, y = 1000 * work.energy, 1000 * work.done
    half = 1.08 * max(np.abs(x).max(), np.abs(y).max(), 1e-9)
    axes.plot((-half, half), (-half, half), color=faint(), linewidth=0.8, zorder=0)
    axes.plot(x, y, ".", color=ink(), markersize=4, alpha=0.6, markeredgewidth=0, rasterized=True)
    axes.set(xlim=(-half, half), ylim=(-half, half), aspect="equal")
    axes.set(xlabel="ΔE labelled (meV)", ylabel="work of the labels (meV)")
    axes.locator_params(nbins=5)
    return figure


def lengths_figure(systems: Sequence[System]) -> Figure:
    """Histogram of |S| over all systems, per magnetic element."""
    elements = list(dict.fromkeys(element for system in systems for element in system.type_map))
    lengths = {}
    for element in elements:
        spins = ((thinned(system).spin, np.array(system.elements) == element) for system in systems)
        values = np.linalg.norm(np.concatenate([spin[:, own].reshape(-1, 3) for spin, own in spins]), axis=1)
        if values.any():
            lengths[element] = values[values > 0]
    figure, axes = one_panel()
    if lengths:
        every = np.concatenate(list(lengths.values()))
        margin = max(1e-3, 1e-6 * every.max())
        edges = np.linspace(every.min() - margin, every.max() + margin, BINS + 1)
        for element, values in lengths.items():
            histogram(axes, values, edges, f"C{elements.index(element)}", element)
        axes.legend(frameon=False, handlelength=1.2)
    axes.set(xlabel=in_math("|S| (μ_B)"), ylabel="atoms in frames")
    axes.locator_params(axis="x", nbins=4)
    return figure


def tilts_figure(audited: Sequence[Audited]) -> Figure:
    """Histogram of the tilts over all systems."""
    figure, axes = one_panel()
    angles = np.concatenate([one.tilts for one in audited])
    edges = np.linspace(0, max(angles.max(initial=0.0), 1e-6), BINS + 1)
    histogram(axes, angles, edges, ink(), None)
    axes.set(xlabel="tilt from the nearest axis (°)", ylabel="atoms in frames")
    return figure
