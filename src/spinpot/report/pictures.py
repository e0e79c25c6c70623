"""The pictures of a run folder, an evaluation or a sweep, as files."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from spinpot.core.files import write_atomically
from spinpot.data.systems import System
from spinpot.report.plots import learning_curve_figure, parity_figure
from spinpot.report.style import LIGHT, saved, themed


def write_run_pictures(
    folder: Path,
    systems: Sequence[System],
    predictions: Sequence[dict[str, np.ndarray]],
    magnetic: Sequence[bool],
    trained: Collection[str],
) -> None:
    """parity.png and, where there is a metrics.csv, learning_curve.png; the arguments are parity_figure's."""
    with themed(LIGHT):
        save_figure(parity_figure(systems, predictions, magnetic, trained), folder / "parity.png")
        if (folder / "metrics.csv").exists():
            save_figure(learning_curve_figure(folder / "metrics.csv"), folder / "learning_curve.png")


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG file whole or not at all."""
    write_atomically(path, saved(figure, format="png", dpi=150))
