"""Spin-wave energies along a path."""

from __future__ import annotations

import numpy as np
from ase.dft.kpoints import BandPath
from matplotlib.figure import Figure

from spinpot.analysis.measured import Measured
from spinpot.report.style import faint, ink


def magnon_figure(
    path: BandPath, energies: np.ndarray, compared: np.ndarray | None, measured: Measured | None
) -> Figure:
    """The model's branches (K, M) in meV, and those of measured constants, dashed."""
    figure = Figure(figsize=(6.0, 3.6), layout="constrained")
    axes = figure.add_subplot()
    x, ticks, names = path.get_linear_kpoint_axis()
    names = [name.replace("G", "Γ") for name in names]
    for place in ticks:
        axes.axvline(place, color=faint(), linewidth=0.8, zorder=0)
    axes.plot(x, energies, color="C0", linewidth=1.6, label=["model", *[None] * (energies.shape[1] - 1)])
    if compared is not None and measured is not None:
        labels = [measured.label, *[None] * (compared.shape[1] - 1)]
        axes.plot(x, compared, color="C1", linewidth=1.0, linestyle="--", label=labels)
        axes.axhline(measured.highest, color=ink(), linewidth=0.8, linestyle=":", label="highest measured")
    axes.set(xlim=(x[0], x[-1]), ylabel="ħω (meV)", xticks=ticks, xticklabels=names)
    axes.set_ylim(bottom=min(0.0, 1.05 * float(energies.min())))
    if compared is not None:
        figure.legend(loc="outside upper left", ncols=3, frameon=False)
    return figure
