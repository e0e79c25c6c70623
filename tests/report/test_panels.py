"""Panels of a page: one drawing serves both themes if the two do not differ."""

import base64
import re
from functools import partial

import numpy as np

from spinpot.core.quantities import FORCE, FORCE_MAG
from spinpot.report.panels import panel
from spinpot.report.plots import learning_curve_panel, parity_panel
from spinpot.report.style import DARK, saved, themed
from spinpot.training.metrics_csv import COLUMNS

STEPS = np.array([1.0, 10.0, 100.0])


def svg(uri):
    """The picture, without names that differ by what matplotlib hashes."""
    text = base64.b64decode(uri.partition(",")[2]).decode()
    return re.sub(r"[a-z]+[0-9a-f]{10}", "name", text)


def drawn_in_the_dark(draw):
    with themed(DARK):
        image = saved(draw(), format="svg", dpi=200, transparent=True, metadata={"Date": None})
    return svg("," + base64.b64encode(image).decode())


def test_the_dark_picture_is_what_would_be_drawn_in_the_dark():
    columns = dict.fromkeys(COLUMNS, 5.0 / STEPS) | {"step": STEPS}
    points = [(name, STEPS, 1.1 * STEPS) for name in ("Ni", "O")]
    for draw in (
        partial(learning_curve_panel, columns, FORCE_MAG.name),
        partial(parity_panel, FORCE.name, points, ("Ni", "O")),
    ):
        made = panel("title", "", "words", draw)
        assert svg(made.dark) == drawn_in_the_dark(draw)
        assert svg(made.light) != svg(made.dark)
