"""report.html of spinpot analyze: a section for each task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spinpot.analysis.result import Result, shown
from spinpot.models.registry import facts_of
from spinpot.report.page import render
from spinpot.report.panels import panel


def analysis_page(contents: Mapping[str, Any], results: Mapping[str, Result]) -> str:
    """The page, which says that it was made now.

    contents: what analysis.json holds. results: by the names of the tasks, in the order they are shown.
    """
    return render(
        "analysis.html",
        contents=contents,
        results=results,
        panels={
            name: [panel(one.title, "", one.alt, one.draw) for one in result.pictures]
            for name, result in results.items()
        },
        shown=shown,
        model=facts_of(contents["model"]),
    )
