"""report.html of an audit."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from spinpot.audit.audited import Audited, labels_of, works_of, worst_of
from spinpot.audit.factors import with_error
from spinpot.audit.plots import factors_figure, lengths_figure, tilts_figure, work_figure
from spinpot.audit.work import Work, short_label
from spinpot.core.notes import shortened
from spinpot.report.page import MOST, data_sets, in_words, render
from spinpot.report.panels import Panel, panel

MOST_PANELS = 12  # systems with a picture of the work; of more, those with the lowest R²
TILES = {"wrong": "wrong", "look": "to look at", "ok": "ok"}


def audit_page(result: Mapping[str, Any], audited: Sequence[Audited]) -> str:
    """The page of an audit. result: the contents of audit.json."""
    works = works_of(audited)
    labels, worst = labels_of(works), worst_of(works, MOST)
    found = [group["severity"] for group in result["findings"] for _ in group["statements"]]
    return render(
        "audit.html",
        result=result,
        elements=in_words(audited[0].system.type_map),
        tiles=[(label, severity, found.count(severity)) for severity, label in TILES.items()],
        labels={label: short_label(label) for label in labels},
        with_error=with_error,
        explained=worst,
        untested=shortened([one.system.name for one in audited if one.system.name not in works]),
        factors=_factors(worst) if labels else None,
        works=_works(worst_of(works, MOST_PANELS)),
        most=MOST,
        pictures=_pictures(audited),
        data=data_sets({"audited": result["data"]}),
    )


def _factors(works: Mapping[str, Work]) -> Panel:
    alt = "Label divided by the derivative of the energy, with its standard error; one row per system."
    return panel("Factors of the labels", "1 is right", alt, partial(factors_figure, works))


def _works(works: Mapping[str, Work]) -> list[Panel]:
    alt = "Work of the labels between frames of {}, against the energy differences.".format
    return [
        panel("Work and energies", f"{name}, R² {work.r2:.5f}", alt(name), partial(work_figure, work))
        for name, work in works.items()
    ]


def _pictures(audited: Sequence[Audited]) -> list[Panel]:
    if not any(one.tilts.size for one in audited):
        return []
    systems = [one.system for one in audited]
    tilts = "Histogram of the angles between moments and the collinear axis nearest to them."
    lengths = "Histogram of the lengths of the moments, by element."
    return [
        panel("Tilts", "all systems", tilts, partial(tilts_figure, audited)),
        panel("Lengths of the moments", "all systems", lengths, partial(lengths_figure, systems)),
    ]
