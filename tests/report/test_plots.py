"""Pictures have the right panels, points and errors."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes

from spinpot.data.dataset import FrameDataset
from spinpot.data.systems import System
from spinpot.evaluation.parity import parity_points
from spinpot.evaluation.predictor import Arrays, Predictor
from spinpot.loss.baselines import dataset_errors
from spinpot.report.plots import (
    Curve,
    Points,
    draw_curves,
    error_histogram_figure,
    in_math,
    learning_curve_figure,
    learning_curve_panel,
    parity_figure,
    parity_panel,
)
from spinpot.report.style import LIGHT, new_figure, themed
from spinpot.runs.metrics_file import read_metrics_file
from spinpot.training.metrics_csv import COLUMNS, MetricsCsv
from support.frames import random_system, small_potential, with_random_labels

TITLES = ["energy", "force", "magnetic force, transverse", "magnetic force, longitudinal", "virial"]


@pytest.fixture(scope="module")
def systems() -> list[System]:
    return [with_random_labels(random_system(seed, 3), seed) for seed in (1, 2)]


@pytest.fixture(scope="module")
def predictions(systems: list[System]) -> list[Arrays]:
    return Predictor(small_potential()).predict(systems)


def dataset(systems: list[System]) -> FrameDataset:
    return FrameDataset(systems, Predictor(small_potential()).geometry)


def drawn_from(systems: list[System], predictions: list[Arrays]) -> tuple[dict[str, Points], tuple[str, ...]]:
    return parity_points(systems, predictions, (True, False)), systems[0].type_map


def title(axes: Axes) -> str:
    return axes.get_title(loc="left").split("\n")[0]


def points(axes: Axes) -> dict[str, np.ndarray]:
    """Element → (points, 2)."""
    return {line.get_label(): line.get_xydata() for line in axes.lines if line.get_marker() == "."}


def test_every_labelled_quantity_has_a_panel_with_its_rmse(
    systems: list[System], predictions: list[Arrays]
) -> None:
    panels = parity_figure(*drawn_from(systems, predictions)).axes
    assert [title(axes) for axes in panels] == TITLES
    errors = dataset_errors(small_potential(), dataset(systems), (True, False))
    for axes, quantity in zip(panels, ("e", "fr", "fm_transverse", "fm_longitudinal", "v"), strict=True):
        drawn = np.concatenate(list(points(axes).values()))
        rmse = np.sqrt(np.mean((drawn[:, 0] - drawn[:, 1]) ** 2))
        assert rmse == pytest.approx(1000 * errors[f"rmse_{quantity}"], rel=1e-10)
        assert float(axes.get_title(loc="left").split()[-2]) == pytest.approx(rmse, rel=5e-3)
        assert "meV" in axes.get_xlabel()
        assert axes.get_xlim() == axes.get_ylim()


def test_the_points_of_an_element(systems: list[System], predictions: list[Arrays]) -> None:
    _, force, transverse, longitudinal, _ = parity_figure(*drawn_from(systems, predictions)).axes
    assert {name: len(drawn) for name, drawn in points(force).items()} == {"Ni": 54, "O": 36}
    assert {name: len(drawn) for name, drawn in points(transverse).items()} == {"Ni": 54}
    assert {name: len(drawn) for name, drawn in points(longitudinal).items()} == {"Ni": 18}
    colours = {line.get_label(): line.get_color() for line in force.lines if line.get_marker() == "."}
    assert len(set(colours.values())) == 2
    oxygen = systems[0].types == 1
    expected = 1000 * np.concatenate([one.force[:, oxygen].ravel() for one in systems])
    np.testing.assert_allclose(points(force)["O"][:, 0], expected)


def test_energies_are_relative_to_the_mean_label(systems: list[System], predictions: list[Arrays]) -> None:
    energy = points(parity_figure(*drawn_from(systems, predictions)).axes[0])
    (energy,) = energy.values()
    assert energy[:, 0].mean() == pytest.approx(0, abs=1e-9)
    shift = np.mean([np.mean(p["energy"] - s.energy) / 5 for s, p in zip(systems, predictions, strict=True)])
    assert energy[:, 1].mean() == pytest.approx(1000 * shift)


def test_panels_without_labels_are_left_out(systems: list[System], predictions: list[Arrays]) -> None:
    some = [replace(systems[0], virial=None, force=None), replace(systems[1], virial=None)]
    assert [title(axes) for axes in parity_figure(*drawn_from(some, predictions)).axes] == TITLES[:4]
    none = [replace(one, energy=None, force=None, force_mag=None, virial=None) for one in systems]
    assert parity_figure(*drawn_from(none, predictions)).axes == []


def test_atoms_without_moment_have_no_parts() -> None:
    system = with_random_labels(random_system(3))
    still = replace(system, spin=np.zeros_like(system.spin))
    predictions = Predictor(small_potential()).predict([still])
    panels = parity_figure(*drawn_from([still], predictions)).axes
    assert [title(axes) for axes in panels] == ["energy", "force", "virial"]


def test_many_points_are_thinned_out_and_all_counted() -> None:
    system = with_random_labels(random_system(4, n_frames=1))
    repeated = ("box", "coord", "spin", "force")
    many = replace(
        system,
        **{name: np.repeat(getattr(system, name), 5000, axis=0) for name in repeated},
        energy=None,
        force_mag=None,
        virial=None,
    )
    predicted = {"force": many.force + 0.001 * (np.arange(5000) % 2)[:, None, None]}
    (axes,) = parity_figure(*drawn_from([many], [predicted])).axes
    assert all(len(drawn) <= 20_000 for drawn in points(axes).values())
    assert "rmse 0.707 meV" in axes.get_title(loc="left")


def test_histograms_count_every_error(systems: list[System], predictions: list[Arrays]) -> None:
    panels = error_histogram_figure(*drawn_from(systems, predictions), ["e", "fr", "fm"]).axes
    assert [title(axes) for axes in panels] == TITLES
    assert [axes.get_title(loc="right") for axes in panels] == ["", "", "", "", "not in the loss"]
    errors = dataset_errors(small_potential(), dataset(systems), (True, False))
    force = panels[1]
    counts = {p.get_label(): p.get_data().values.sum() for p in force.patches if not p.get_fill()}
    assert counts == {"Ni": 54, "O": 36}
    shown = float(force.get_title(loc="left").split()[-2])
    assert shown == pytest.approx(1000 * errors["mae_fr"], rel=5e-3)
    edges = force.patches[0].get_data().edges
    assert edges[0] == -edges[-1]


# ---- the run's own pictures ----


def write_metrics(folder: Path, with_virial: bool = False) -> Path:
    log = MetricsCsv(folder)
    for step in (1, 10, 100):
        shared = {"lr": 1e-3, "pref_e": 0.02 * step, "pref_fr": 1000 / step, "pref_fm": 10.0, "pref_v": 0.0}
        log.log_metrics(shared | {f"train/rmse_{q}": 0.1 / step for q in ("e", "fr", "fm")}, step)
        names = ("e", "fr", "fm", "fm_transverse", "fm_longitudinal", *(["v"] if with_virial else []))
        log.log_metrics({f"val/rmse_{q}": 0.2 / step for q in names}, step)
    return folder / "metrics.csv"


@pytest.mark.parametrize("with_virial", [False, True])
def test_learning_curves(tmp_path: Path, with_virial: bool) -> None:
    figure = learning_curve_figure(read_metrics_file(write_metrics(tmp_path, with_virial)).arrays())
    names = ["energy", "force", "magnetic force", *(["virial"] if with_virial else [])]
    errors, prefactors = figure.axes[: len(names)], figure.axes[len(names) :]
    assert [title(axes) for axes in errors] == names
    assert [len(axes.lines) for axes in errors] == [2, 2, 4, *([2] if with_virial else [])]
    np.testing.assert_allclose(errors[0].lines[0].get_xydata(), [[1, 100], [10, 10], [100, 1]])
    np.testing.assert_allclose(errors[0].lines[1].get_xydata(), [[1, 200], [10, 20], [100, 2]])
    np.testing.assert_allclose(prefactors[1].lines[0].get_xydata(), [[1, 1000], [10, 100], [100, 10]])
    assert {axes.get_xscale() for axes in figure.axes} == {"log"}
    if with_virial:
        assert [text.get_text() for text in prefactors[3].texts] == ["off"]


def test_a_prefactor_of_less_than_a_decade_has_few_numbers():
    columns = {name: np.full(3, np.nan) for name in COLUMNS} | {"step": np.array([50.0, 100.0, 200.0])}
    columns |= {"val/rmse_e": np.ones(3), "pref_e": np.array([0.65, 0.9, 0.99])}
    _, beneath = learning_curve_panel(columns, "e").axes
    beneath.figure.draw_without_rendering()
    low, high = beneath.get_ylim()
    assert 1 < sum(low <= tick <= high for tick in beneath.get_yticks()) <= 4
    assert not len(beneath.get_yticks(minor=True))


def test_long_numbers_leave_the_names_of_the_axes_room():
    values = np.array([-12_000.0, 12_000.0])
    with themed(LIGHT):
        figure = parity_panel("v", [("", values, values)], ["Ni"])
        figure.draw_without_rendering()
    (axes,) = figure.axes
    for label in (axes.xaxis.label, axes.yaxis.label):
        box = label.get_window_extent()
        assert min(box.x0, box.y0) >= 0.0


def test_subscripts():
    assert in_math("F_mag across (meV/μ_B)") == "F$_\\mathrm{mag}$ across (meV/μ$_\\mathrm{B}$)"


def test_a_run_that_logged_nothing(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text(",".join(COLUMNS) + "\n")
    assert learning_curve_figure(read_metrics_file(tmp_path / "metrics.csv").arrays()).axes == []


@pytest.mark.filterwarnings("error")
def test_a_curve_that_hardly_varies_is_drawn_without_a_warning():
    axes = new_figure(3.0, 3.0).subplots()
    draw_curves(axes, [Curve(np.array([1.0, 2.0, 3.0]), 5000.0 + np.array([0.0, 1e-12, 1e-11]), {})])
    axes.figure.canvas.draw()
    low, high = axes.get_ylim()
    assert low < 4000.0 < 6000.0 < high
