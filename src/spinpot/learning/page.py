"""report.html and summary.json of a loop: errors, uncertain shares and labels, round by round."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from spinpot.core.files import write_atomically
from spinpot.core.provenance import git_commit, versions
from spinpot.core.quantities import ENERGY, FORCE, FORCE_MAG
from spinpot.report.page import REPORT, render
from spinpot.report.panels import Panel, panel
from spinpot.report.plots import Curve, draw_curves, in_math, one_panel
from spinpot.report.style import Figure, faint, ink

SUMMARY = "summary.json"
SHOWN = (ENERGY, FORCE, FORCE_MAG)
BINS = np.geomspace(1e-2, 1e2, 41)
"""Bins of scores; 1 is the limit."""

Records = Sequence[Mapping[str, Any]]


def write_page(folder: Path, records: Records, why: str, train: Sequence[str]) -> None:
    """Write report.html and summary.json. why: the reason why the loop has ended; "" if it has not."""
    summary = {
        "ended": why,
        "train": list(train),
        "rounds": list(records),
        "git_commit": git_commit(),
        "versions": versions(),
    }
    write_atomically(folder / SUMMARY, json.dumps(summary, indent=2, allow_nan=False) + "\n")
    page = render("learn.html", summary=summary, last=records[-1], pictures=pictures(records), shown=SHOWN)
    write_atomically(folder / REPORT, page)


def pictures(records: Records) -> list[Panel]:
    """The page's panels: errors, the uncertain share, chosen frames and scores."""
    labelled = [quantity for quantity in SHOWN if records[-1]["errors"].get(quantity.rmse) is not None]
    errors = [
        panel(
            f"Error of the {quantity.title}",
            "on the test set",
            f"Root mean square error of the {quantity.title} on the test set against the number of labels.",
            partial(error_figure, records, quantity.rmse, quantity.meV),
        )
        for quantity in labelled
    ]
    return [
        *errors,
        panel("Uncertain share", "", "Share of uncertain frames by round.", partial(share_figure, records)),
        panel("Frames", "chosen and failed", "Frames chosen by round.", partial(frames_figure, records)),
        panel(
            "Scores",
            "first and last round",
            "Histogram of the scores of explored frames; 1 is the limit.",
            partial(scores_figure, records),
        ),
    ]


def error_figure(records: Records, name: str, unit: str) -> Figure:
    """An error against the number of labels."""
    figure, axes = one_panel()
    labels = np.array([one["labels"] for one in records], dtype=float)
    errors = np.array([1000.0 * (one["errors"].get(name) or np.nan) for one in records])
    draw_curves(axes, [Curve(labels, errors, {"color": ink(), "marker": "o", "markersize": 4})])
    axes.set(xlabel="labels", ylabel=f"rmse ({in_math(unit)})")
    return figure


def share_figure(records: Records) -> Figure:
    """The uncertain share by round."""
    figure, axes = one_panel()
    axes.plot(_rounds(records), [100 * one["share"] for one in records], "o-", color=ink(), markersize=4)
    axes.set(xlabel="round", ylabel="uncertain frames (%)", ylim=(0, None))
    _whole_numbers(axes)
    return figure


def frames_figure(records: Records) -> Figure:
    """Frames chosen by round, and labels that failed."""
    figure, axes = one_panel()
    axes.bar(_rounds(records), [one["chosen"] for one in records], color=ink(), width=0.6, label="chosen")
    axes.plot(_rounds(records), [one["failed"] for one in records], "x", color="C1", label="failed")
    most = max(1, *(one[name] for one in records for name in ("chosen", "failed")))
    axes.set(xlabel="round", ylabel="frames", ylim=(0, 1.35 * most))  # with room for the legend
    axes.legend(frameon=False, fontsize=8)
    _whole_numbers(axes)
    return figure


def scores_figure(records: Records) -> Figure:
    """Histogram of the scores in the first and the last exploration; 1 is the limit."""
    figure, axes = one_panel()
    axes.axvline(1.0, color=faint(), linewidth=1.0, zorder=0)
    for one, colour in ((records[0], "C1"), (records[-1], ink()))[len(records) == 1 :]:
        scores = np.clip(one["scores"], BINS[0], BINS[-1])
        counts, _ = np.histogram(scores, BINS)
        axes.stairs(counts, BINS, color=colour, label=f"round {one['round']}")
    axes.set(xscale="log", xlabel="score (largest expected error / limit)", ylabel="frames")
    axes.legend(frameon=False, fontsize=8)
    return figure


def _rounds(records: Records) -> list[int]:
    return [one["round"] for one in records]


def _whole_numbers(axes: Any) -> None:
    axes.xaxis.get_major_locator().set_params(integer=True)
