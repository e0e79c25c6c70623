"""report.html of an audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np

from spinpot.audit.audited import Audited, labels_of, works_of, worst_of
from spinpot.audit.findings import SEVERITIES
from spinpot.audit.plots import factors_figure, lengths_figure, tilts_figure, work_figure
from spinpot.audit.work import Factor, Work, short_label
from spinpot.core.notes import shortened
from spinpot.report.page import MOST, data_sets, in_words, render
from spinpot.report.panels import Panel, panel

MOST_PANELS = 12
"""Systems whose works are drawn; with more, those explained worst."""
TILES = {"wrong": "wrong", "look": "to look at", "ok": "ok"}


def audit_page(result: Mapping[str, Any], audited: Sequence[Audited]) -> str:
    """The page of an audit, which says that it was made now. result: what audit.json holds."""
    works = works_of(audited)
    labels, worst = labels_of(works), worst_of(works, MOST)
    groups = result["findings"]
    return render(
        "audit.html",
        result=result,
        moment=datetime.now().isoformat(),
        elements=in_words(audited[0].system.type_map),
        tiles=[(TILES[severity], severity, _count(groups, severity)) for severity in SEVERITIES],
        groups=[group for group in groups if group["severity"] != "ok"],
        fine=[group for group in groups if group["severity"] == "ok"],
        labels=[short_label(label) for label in labels],
        rows=[_row(name, work, labels) for name, work in worst.items()],
        untested=shortened([one.system.name for one in audited if one.system.name not in works]),
        factors=_factors(worst) if labels else None,
        works=_works(worst_of(works, MOST_PANELS)),
        moments=[_moments(one) for one in audited[:MOST]],
        most=MOST,
        pictures=_pictures(audited),
        data=data_sets({"audited": result["data"]}),
    )


def _count(groups: Sequence[Mapping[str, Any]], severity: str) -> int:
    return sum(len(group["statements"]) for group in groups if group["severity"] == severity)


def _row(name: str, work: Work, labels: Sequence[str]) -> dict[str, Any]:
    return {
        "name": name,
        "frames": work.frames,
        "pairs": len(work.energy),
        "factors": [_shown(work.factors.get(label)) for label in labels],
        "r2": work.r2,
        "correction": work.correction,
    }


def _shown(factor: Factor | None) -> str:
    if factor is None:
        return ""
    if factor.value is None:
        return "–"
    return f"{factor.value:.3f} ± {factor.error:.3f}"


def _factors(works: Mapping[str, Work]) -> Panel:
    alt = "Each label over the derivative of the energy, with its standard error, a row per system."
    return panel("Factors of the labels", "1 is right", alt, partial(factors_figure, works))


def _works(works: Mapping[str, Work]) -> list[Panel]:
    return [
        panel(
            "Work and energies",
            f"{name}, R² {work.r2:.5f}",
            f"The work of the labels between frames of {name} against the differences of the energies.",
            partial(work_figure, work),
        )
        for name, work in works.items()
    ]


def _moments(one: Audited) -> dict[str, Any]:
    tilts = np.quantile(one.tilts, (0.5, 1.0)) if one.tilts.size else None
    return {
        "name": one.system.name,
        "elements": one.elements,
        "tilts": tilts,
        "net_force": one.net_force,
        "net_torque": one.net_torque,
    }


def _pictures(audited: Sequence[Audited]) -> list[Panel]:
    if not any(one.tilts.size for one in audited):
        return []
    return [
        panel(
            "Tilts",
            "all systems",
            "How often moments tilt by which angle from their frame's nearest collinear axis.",
            partial(tilts_figure, audited),
        ),
        panel(
            "Lengths of the moments",
            "all systems",
            "How often which length of the moment occurs, by element.",
            partial(lengths_figure, audited),
        ),
    ]
