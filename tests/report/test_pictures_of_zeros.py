"""Pictures of labels and errors that are zero, nearly zero or all equal are drawn without warnings."""

import logging
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from spinpot.audit.audited import Audited
from spinpot.audit.plots import factors_figure, lengths_figure, tilts_figure
from spinpot.audit.run import audit
from spinpot.audit.work import Work
from spinpot.data.systems import System
from spinpot.evaluation.parity import parity_points
from spinpot.evaluation.predictor import Arrays
from spinpot.report.plots import (
    error_histogram_figure,
    learning_curve_figure,
    learning_curve_panel,
    parity_figure,
    parity_panel,
)
from spinpot.report.style import saved
from spinpot.runs.metrics_file import read_metrics_file
from spinpot.runs.runs import Run
from spinpot.runs.sweep_plots import trade_off_figure, validation_curves
from spinpot.training.metrics_csv import MetricsCsv
from support.folders import labelled_by_a_potential, write_npy
from support.frames import system

QUANTITIES = ("e", "fr", "fm", "fm_transverse", "fm_longitudinal", "v")


def one_atom_cells(n_frames: int, value: float = 0.0) -> System:
    """A lone moment in each cell, on which no force can act; all labels are `value`."""
    rng = np.random.default_rng(0)
    spin = rng.normal(size=(n_frames, 1, 3))
    spin *= 2.2 / np.linalg.norm(spin, axis=-1, keepdims=True)
    return system(
        ("Fe",),
        [0],
        np.tile(2.8 * np.eye(3), (n_frames, 1, 1)),
        np.zeros((n_frames, 1, 3)),
        spin,
        energy=np.full(n_frames, value),
        force=np.full((n_frames, 1, 3), value),
        force_mag=np.full((n_frames, 1, 3), value),
        virial=np.full((n_frames, 3, 3), value),
    )


def predicted(made: System, error: float) -> Arrays:
    return {name: getattr(made, name) + error for name in ("energy", "force", "force_mag", "virial")}


@pytest.fixture
def drawn(caplog: pytest.LogCaptureFixture):
    """Draw a figure as a page does; whatever matplotlib or NumPy says of it is an error."""

    def draw(make: Callable[[], Figure]) -> Figure:
        with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
            warnings.simplefilter("error")
            figure = make()
            saved(figure, format="svg")
        assert not caplog.records
        return figure

    return draw


@pytest.mark.parametrize(
    ("frames", "value", "error"), [(1, 0.0, 0.0), (5, 0.0, 1e-20), (5, 1e-20, 0.0), (5, 1e9, 0.0)]
)
def test_predictions(drawn, frames: int, value: float, error: float) -> None:
    made = one_atom_cells(frames, value)
    points = parity_points([made], [predicted(made, error)], (True,))
    drawn(lambda: parity_figure(points, ("Fe",)))
    drawn(lambda: error_histogram_figure(points, ("Fe",)))
    drawn(lambda: parity_panel("fr", points["fr"], ("Fe",)))


def write_metrics(folder: Path, errors: list[float]) -> Path:
    log = MetricsCsv(folder)
    for number, error in enumerate(errors, start=1):
        shared = {"lr": 1e-3, "pref_e": 0.02 * number, "pref_fr": 0.0, "pref_fm": 10.0, "pref_v": 0.0}
        named = {f"{part}/rmse_{q}": error for part in ("train", "val") for q in QUANTITIES}
        log.log_metrics(shared | named | {"val/score": error}, 10 * number)
    return folder / "metrics.csv"


COURSES = [[0.0], [0.0, 0.0], [0.1], [0.1, 0.1], [0.1, 0.0, 0.2], [0.0, 1e-300], [1e-20, 1e-21]]


@pytest.mark.parametrize("errors", COURSES)
def test_learning_curves(drawn, tmp_path: Path, errors: list[float]) -> None:
    columns = read_metrics_file(write_metrics(tmp_path, errors)).arrays()
    figure = drawn(lambda: learning_curve_figure(columns))
    drawn(lambda: learning_curve_panel(columns, "fm"))
    axes = figure.axes[0]
    assert axes.get_yscale() == ("log" if any(errors) else "linear")
    shown = axes.lines[1].get_ydata()
    # A logarithmic axis has no place for the zeros among others; where there is nothing else they are seen.
    np.testing.assert_allclose(shown, [1000 * e for e in errors if e > 0 or not any(errors)])


@pytest.mark.parametrize("errors", COURSES)
def test_sweeps(drawn, tmp_path: Path, errors: list[float]) -> None:
    metrics = {"0": read_metrics_file(write_metrics(tmp_path, errors)).arrays()}
    drawn(lambda: validation_curves(metrics, "fr", {"0": "#123456"}))
    val = {f"rmse_{q}": errors[-1] for q in QUANTITIES} | {"score": errors[-1]}
    runs = [Run(tmp_path / name, {}, {"val": val}) for name in ("0", "1")]
    drawn(lambda: trade_off_figure(runs))
    drawn(lambda: trade_off_figure([replace(runs[0], summary={"val": {"score": 1.0}})]))


@pytest.mark.parametrize("moment", [1.0, 1e-20, 1e12])
def test_moments(drawn, moment: float) -> None:
    made = one_atom_cells(8)
    audited = [Audited(replace(made, spin=moment * made.spin))]
    drawn(lambda: lengths_figure([one.system for one in audited]))
    drawn(lambda: tilts_figure(audited))


def test_an_audit(tmp_path: Path, capsys: pytest.CaptureFixture, caplog: pytest.LogCaptureFixture) -> None:
    write_npy(tmp_path / "one", one_atom_cells(8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        audit([str(tmp_path / "one")], tmp_path / "audit")
    assert not caplog.records
    assert not capsys.readouterr().err


def test_names_that_are_no_formula_and_have_letters_of_other_scripts(drawn) -> None:
    work = Audited(labelled_by_a_potential(1, 12)).work
    assert isinstance(work, Work)
    drawn(lambda: factors_figure({"$a_{b$ 镍": work}))


def test_names_that_are_too_long_for_an_axis_lose_their_middle() -> None:
    work = Audited(labelled_by_a_potential(1, 12)).work
    assert isinstance(work, Work)
    (axes,) = factors_figure({"bcc_iron_primitive_cell_under_strain_run_0001": work, "Fe2": work}).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["bcc_iron_pri…in_run_0001", "Fe2"]
