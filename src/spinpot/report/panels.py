"""Pictures of a page: one per quantity, drawn for light and dark ground, each a data URI with words to it."""

import base64
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from spinpot.core.quantities import QUANTITIES
from spinpot.report.plots import (
    Points,
    expected_panel,
    learning_curve_panel,
    logged_quantities,
    parity_panel,
    rmse_of,
    rounded,
)
from spinpot.report.style import DARK, LIGHT, Figure, darkened, saved, themed
from spinpot.report.tables import in_loss


@dataclass(frozen=True)
class Panel:
    """A picture as two data URIs, its size in CSS pixels, a heading, a remark, and what it shows in words."""

    title: str
    remark: str
    alt: str
    light: str
    dark: str
    width: int
    height: int


def parity_panels(
    points: Mapping[str, Points], elements: Sequence[str], trained: Collection[str] | None = None
) -> list[Panel]:
    """Prediction against label of every quantity with labels; the arguments are parity_figure's."""
    panels = []
    for quantity, own in points.items():
        title = QUANTITIES[quantity].title
        rmse = f"{rounded(rmse_of(own))} {QUANTITIES[quantity].meV}"
        off = not in_loss(quantity, trained)
        alt = f"Predicted against reference {title}: rmse {rmse}."
        remark = f"rmse {rmse}" + (", not in the loss" if off else "")
        panels.append(panel(title, remark, alt, partial(parity_panel, quantity, own, elements)))
    return panels


def expected_panels(expected: Mapping[str, tuple[float, np.ndarray, np.ndarray]]) -> list[Panel]:
    """Errors against those that the model expects, by the quantities' names.

    expected: the part of the errors within one σ, and of each frame σ and error (F,), eV.
    """
    panels = []
    for name, (within, sigma, error) in expected.items():
        title, share = QUANTITIES[name].title, f"{100.0 * within:.0f} % within σ"
        alt = f"Error of the {title} of each frame against the expected one: {share}."
        panels.append(panel(title, share, alt, partial(expected_panel, name, sigma, error)))
    return panels


def learning_panels(columns: Mapping[str, np.ndarray]) -> list[Panel]:
    """The learning curve of every quantity that was compared to labels, by the columns of metrics.csv."""
    panels = []
    for quantity in logged_quantities(columns):
        own = QUANTITIES[quantity]
        last = columns[f"val/{own.rmse}"]
        last = last[np.isfinite(last)]
        alt = f"Error of the {own.title} against the training step, and the prefactor of its loss term."
        if len(last):
            first, final = (rounded(1000 * value) for value in (last[0], last[-1]))
            alt += f" On the validation set it went from {first} to {final} {own.meV}."
        panels.append(panel(own.title, "", alt, partial(learning_curve_panel, columns, quantity)))
    return panels


def panel(title: str, remark: str, alt: str, draw: Callable[[], Figure]) -> Panel:
    """Draw a figure in both themes."""
    with themed(LIGHT):
        figure = draw()
        light = _svg(figure)
    if b"<image" in light:  # its pixels have colours too
        with themed(DARK):
            dark = _svg(draw())
    else:
        dark = darkened(light)
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    return Panel(title, remark, alt, _data_uri(light), _data_uri(dark), width, height)


def _svg(figure: Figure) -> bytes:
    return saved(figure, format="svg", dpi=200, transparent=True, metadata={"Date": None})


def _data_uri(image: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(image).decode()
