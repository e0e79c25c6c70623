"""How figures look: on white, and on the dark ground of a page at night."""

import io
import re
import warnings
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spinpot.core.files import write_atomically

# Importing matplotlib takes half a second: only what draws does so.
if TYPE_CHECKING:
    from matplotlib.axes import Axes as Axes
    from matplotlib.axis import Axis as Axis
    from matplotlib.figure import Figure as Figure
else:
    Axes = Axis = Figure = Any

ON_WHITE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""One colour per element, told apart by colour-blind eyes too (Okabe and Ito)."""
ON_DARK = ("#5CA8E8", "#FF9455", "#35C69A", "#E79AC8", "#F0C04A", "#9AD4F8")

INKS_ON_WHITE, INKS_ON_DARK = ("#24292f", "#6e7781", "#d0d7de"), ("#d6dbe1", "#8b949e", "#3d444d")
"""Of what belongs to no element, of axes, and of what stands behind the data."""


def _theme(inks: tuple[str, str, str], colours: tuple[str, ...]) -> dict[str, Any]:
    ink, line, faint = inks
    return {
        "font.size": 9,
        "text.color": ink,
        "axes.labelcolor": ink,
        "xtick.labelcolor": ink,
        "ytick.labelcolor": ink,
        "axes.edgecolor": line,
        "xtick.color": line,
        "ytick.color": line,
        "grid.color": faint,
        "axes.prop_cycle": f"cycler(color={[*colours]})",
        "axes.spines.top": False,
        "axes.spines.right": False,
        # Files of the same figure are the same.
        "svg.hashsalt": "spinpot",
    }


LIGHT, DARK = _theme(INKS_ON_WHITE, ON_WHITE), _theme(INKS_ON_DARK, ON_DARK)


def themed(theme: dict[str, Any]) -> AbstractContextManager[None]:
    """A context in which figures are drawn and saved in LIGHT or DARK."""
    import matplotlib

    return matplotlib.rc_context(theme)  # type: ignore[arg-type]


def new_figure(width: float, height: float, **options: Any) -> Figure:
    """An empty figure, in inches. options: of matplotlib's Figure."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), **options)


def _of_theme(name: str) -> str:
    import matplotlib

    return str(matplotlib.rcParams[name])  # type: ignore[index]


def darkened(image: bytes) -> bytes:
    """An SVG drawn in LIGHT as DARK would draw it, without drawing it again."""
    colours = dict(zip(INKS_ON_WHITE + ON_WHITE, INKS_ON_DARK + ON_DARK, strict=True))
    dark = {light.lower(): dark.lower() for light, dark in colours.items()}
    text = re.sub("#[0-9a-f]{6}", lambda found: dark.get(found[0], found[0]), image.decode())
    return text.encode()


def literal(name: str) -> str:
    """A name as matplotlib shows it letter by letter; between two dollar signs it would read a formula."""
    return name.replace("$", r"\$")


def saved(figure: Figure, **options: Any) -> bytes:
    """The file of a figure. options: of savefig."""
    image = io.BytesIO()
    with warnings.catch_warnings():
        # Names of systems may have letters that the font does not; it shows boxes in their place.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(image, **options)
    return image.getvalue()


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG file whole or not at all."""
    write_atomically(path, saved(figure, format="png", dpi=150))


def ink() -> str:
    """The colour of what belongs to no element, in the present theme."""
    return _of_theme("text.color")


def faint() -> str:
    """The colour of what stands behind the data, in the present theme."""
    return _of_theme("grid.color")
