"""Spin-wave energies along a path."""

from __future__ import annotations

import numpy as np
from ase.dft.kpoints import BandPath
from matplotlib.figure import Figure

from spinpot.analysis.measured import Measured
from spinpot.report.style import faint, ink


def magnon_figure(
    path: BandPath,
    energies: np.ndarray,
    compared: np.ndarray | None,
    measured: Measured | None,
    warning: str = "",
) -> Figure:
    """The model's branches (K, M) in meV, and those of measured constants, dashed; a warning above."""
    figure = Figure(figsize=(6.0, 3.6), layout="constrained")
    axes = figure.add_subplot()
    x, places, names = path.get_linear_kpoint_axis()
    ticks = _joined(places, names)
    jumps = np.flatnonzero(np.diff(x) == 0.0) + 1
    x, energies = np.insert(x, jumps, np.nan), np.insert(energies, jumps, np.nan, axis=0)
    for place in ticks:
        axes.axvline(place, color=faint(), linewidth=0.8, zorder=0)
    axes.plot(x, energies, color="C0", linewidth=1.6, label=["model", *[None] * (energies.shape[1] - 1)])
    if compared is not None and measured is not None:
        compared = np.insert(compared, jumps, np.nan, axis=0)
        labels = [measured.label, *[None] * (compared.shape[1] - 1)]
        axes.plot(x, compared, color="C1", linewidth=1.0, linestyle="--", label=labels)
        axes.axhline(measured.highest, color=ink(), linewidth=0.8, linestyle=":", label="highest measured")
    axes.set(xlim=(x[0], x[-1]), ylabel="ħω (meV)", xticks=list(ticks), xticklabels=list(ticks.values()))
    axes.set_title(warning, fontsize=8)
    axes.set_ylim(bottom=min(0.0, 1.05 * float(np.nanmin(energies))))
    if compared is not None:
        figure.legend(loc="outside upper left", ncols=3, frameon=False)
    return figure


def _joined(places: np.ndarray, names: list[str]) -> dict[float, str]:
    """The names by their place along the axis; two where the path jumps."""
    joined: dict[float, str] = {}
    for place, name in zip(places.tolist(), names, strict=True):
        shown = name.replace("G", "Γ")
        joined[place] = f"{joined[place]}|{shown}" if place in joined else shown
    return joined
