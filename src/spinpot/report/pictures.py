"""The pictures of a run folder or an evaluation."""

from __future__ import annotations

import io
from collections.abc import Collection
from pathlib import Path

from matplotlib.figure import Figure

from spinpot.data.batch import batches
from spinpot.data.dataset import FrameDataset
from spinpot.files import write_atomically
from spinpot.model.potential import SpinPotential
from spinpot.predictor import assemble
from spinpot.report.plots import learning_curve_figure, parity_figure


def write_run_pictures(
    folder: Path,
    potential: SpinPotential,
    dataset: FrameDataset,
    batch_size: int,
    trained: Collection[str],
) -> None:
    """parity.png of the potential on a data set and, where there is a metrics.csv, learning_curve.png.

    trained: the loss terms that were on, by their short names.
    """
    stream = (potential(batch) for batch in batches(dataset.frames, batch_size))
    predictions = assemble(dataset.systems, stream)
    figure = parity_figure(dataset.systems, predictions, potential.spec.use_spin, trained)
    save_figure(figure, folder / "parity.png")
    if (folder / "metrics.csv").exists():
        save_figure(learning_curve_figure(folder / "metrics.csv"), folder / "learning_curve.png")


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG file whole or not at all."""
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=150)
    write_atomically(path, image.getvalue())
