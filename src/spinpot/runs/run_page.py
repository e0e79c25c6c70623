"""report.html of a training run."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from spinpot.core.files import write_atomically
from spinpot.data.systems import System
from spinpot.evaluation.parity import parity_points
from spinpot.loss.heisenberg import NAME as HEISENBERG_FIT
from spinpot.loss.score import verdict
from spinpot.models.registry import facts_of
from spinpot.report.page import REPORT, compositions, data_sets, error_table, headline, in_words, render
from spinpot.report.panels import Panel, learning_panels, parity_panels
from spinpot.report.plots import learning_curve_figure, parity_figure
from spinpot.report.style import LIGHT, save_figure, themed
from spinpot.report.tables import Errors, label_scale_in_words
from spinpot.runs.metrics_file import read_columns

SETS = {"val": "validation", "test": "test"}  # names in summary.json and of the sets of frames

BASELINES = {
    "labels_spread": "labels' own spread",
    "training_mean": "training mean",
    "heisenberg": HEISENBERG_FIT,
}
"""Names in summary.json and above the columns."""

NAMED = ("--config-name", "config")


def write_run_report(
    folder: Path,
    systems: Sequence[System],
    predictions: Sequence[dict[str, np.ndarray]],
    summary: Mapping[str, Any],
    config: Mapping[str, Any],
) -> None:
    """The pictures of a finished run, and its report.html.

    systems, predictions: the validation set, and the best checkpoint's arrays for each system, under the
    names and shapes of spinpot.core.conventions. The rest is as in run_page.
    """
    model, columns = summary["model"], read_columns(folder / "metrics.csv")
    points = parity_points(systems, predictions, model["use_spin"])
    parity = points, model["type_map"], summary["loss_terms"]
    with themed(LIGHT):
        save_figure(parity_figure(*parity), folder / "parity.png")
        if columns:
            save_figure(learning_curve_figure(columns), folder / "learning_curve.png")
    curves = learning_panels(columns) if columns else []
    write_atomically(folder / REPORT, run_page(folder, summary, config, parity_panels(*parity), curves))


def beside_baselines(errors: Errors, baselines: Mapping[str, Errors]) -> dict[str, Errors]:
    """The columns of a table of errors."""
    return {"best checkpoint": errors, **{BASELINES[name]: own for name, own in baselines.items()}}


def run_page(
    folder: Path,
    summary: Mapping[str, Any],
    config: Mapping[str, Any],
    parity: Sequence[Panel],
    curves: Sequence[Panel],
) -> str:
    """The page of a finished run.

    summary: what summary.json holds. config: the resolved config as plain data. parity: of the best
    checkpoint on the validation set. curves: empty where nothing was logged.
    """
    model, data, trained = summary["model"], summary["data"], summary["loss_terms"]
    tables = []
    for short in (short for short in SETS if short in summary):
        title = f"{SETS[short].capitalize()} set, {data[SETS[short]]['frames']} frames"
        columns = beside_baselines(summary[short], summary["baselines"][short])
        tables.append(error_table(title, columns, trained))
    planned = config["trainer"]["max_steps"]
    return render(
        "run.html",
        name=folder.name,
        summary=summary,
        elements=in_words(model["type_map"]),
        formulas=compositions(data["train"]["systems"]),
        tiles=headline(summary["val"], summary["baselines"]["val"]["labels_spread"], trained),
        stopped_before=planned if summary["steps"] < planned else None,
        tables=tables,
        heisenberg=summary.get("heisenberg_fit", ""),
        useless=verdict(summary["val"]["score"], summary.get("score_terms", {})),
        label_scale=label_scale_in_words(summary.get("label_scale_fm")),
        parity=parity,
        curves=curves,
        data=data_sets(data, trained),
        model=facts_of(model, config["model"]),
        command=shlex.join(["spinpot", "train", "--config-path", str(folder.resolve()), *NAMED]),
        config=OmegaConf.to_yaml(OmegaConf.create(dict(config))),
    )
