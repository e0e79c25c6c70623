"""HTML pages from plain data: one file each, complete without network or script."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from spinpot import __version__
from spinpot.core.console import duration
from spinpot.core.conventions import LABELS
from spinpot.core.notes import shortened
from spinpot.core.quantities import OF_LABEL, QUANTITIES, SCALED, WHOLE
from spinpot.report.plots import rounded
from spinpot.report.systems_table import rows_of
from spinpot.report.tables import ErrorRow, Errors, error_rows, without_repetition

REPORT = "report.html"

MOST = 50  # rows of a table of systems
MOST_FORMULAS = 6  # compositions named in a sentence
LITTLE = 0.05  # labels of a part with a smaller spread, relative to the whole, are near zero
LONG = 20  # characters; longer names may break after _ - / and .


def render(template: str, **context: Any) -> str:
    """A page, which may say that it was made now; whatever the context holds is escaped."""
    environment = Environment(
        loader=PackageLoader("spinpot.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (number, meV, residual, percent, unit, symbols, formula, breakable, duration, date)
    environment.filters |= {one.__name__: one for one in filters}
    now = datetime.now().isoformat()
    return environment.get_template(template).render(**context, version=__version__, moment=now)


# ---- parts that several pages have ----


def error_table(title: str, columns: Mapping[str, Errors], trained: Collection[str] | None) -> dict[str, Any]:
    """The rmse and mae of the first column beside the rmse of the others, for the macro of this name."""
    _, spread, *_ = (*columns.values(), {})
    shown = []
    for row, begins in without_repetition(error_rows(columns, trained)):
        few = _hardly_labelled(row, spread)
        share = _share(*row.values[:2]) if len(columns) > 1 and not few else None
        shown.append({"row": row, "begins": begins, "share": share, "hardly_labelled": few})
    return {"title": title, "columns": list(columns), "rows": shown}


def headline(errors: Errors, spread: Errors, trained: Collection[str] | None) -> list[dict[str, Any]]:
    """The main errors at a glance: the rmse of energy, forces and virial, with their share of the spread."""
    rows = error_rows({"errors": errors, "spread": spread}, trained)
    return [
        {"row": row, "share": _share(*row.values)}
        for row in rows
        if row.quantity in WHOLE and row.element is None
    ]


def missing_labels(systems: Sequence[Mapping[str, Any]], wanted: Collection[str] | None = None) -> list[str]:
    """A sentence for each label that some or all systems lack.

    systems: as description.describe has them. wanted: the labels that the loss asks for; None for all.
    """
    said = []
    for label in (label for label in LABELS if wanted is None or label in wanted):
        lacking = [system["name"] for system in systems if label not in system["labels"]]
        if len(lacking) == len(systems):
            said.append(f"No {OF_LABEL[label].title} is labelled.")
        elif lacking:
            said.append(f"No {OF_LABEL[label].title} is labelled in {shortened(lacking)}.")
    return said


def data_sets(
    data: Mapping[str, Mapping[str, Any]], trained: Collection[str] | None = None
) -> list[dict[str, Any]]:
    """Each set of frames with what it lacks.

    data: by the set's name, as description.describe has them. trained: the loss terms that were on, by their
    short names; None where that makes no difference.
    """
    wanted = None if trained is None else {QUANTITIES[name].label for name in trained}
    sets = []
    for name, described in data.items():
        rows = rows_of(described["systems"], MOST, MOST)
        systems = [{**row, "labels": _label_names(row)} for row in rows]
        missing = missing_labels(described["systems"], wanted)
        title = "Training set" if name == "train" else f"{name.capitalize()} set"
        if len(rows) < len(described["systems"]):
            missing.append("Systems of the same elements and labels are one row here.")
        if excluded := described.get("excluded"):
            missing.append(_left_out(excluded))
        sets.append({**described, "title": title, "systems": systems, "missing": missing})
    return sets


def _left_out(excluded: Mapping[str, Sequence[int]]) -> str:
    """A sentence about the frames, by system, that a set was read without."""
    frames = [f"{name} ({shortened(list(map(str, numbers)), MOST)})" for name, numbers in excluded.items()]
    return f"Frames left out by data.exclude: {shortened(frames, MOST)}."


def _label_names(row: Mapping[str, Any]) -> list[str]:
    partly = [f"some {OF_LABEL[label].title}" for label in row.get("partly", ())]
    return [*(OF_LABEL[label].title for label in row["labels"]), *partly]


def worst_systems(systems: Mapping[str, Mapping[str, Any]], key: str) -> dict[str, Mapping[str, Any]]:
    """At most MOST systems by name, those with the largest error `key`; few are kept in order."""
    if len(systems) <= MOST:
        return dict(systems)
    ordered = sorted(systems.items(), key=lambda system: -(system[1].get(key) or 0.0))
    return dict(ordered[:MOST])


def compositions(systems: Sequence[Mapping[str, Any]]) -> str:
    """The compositions of some systems, `Ni16O16 and Ni8O8`; of many their number."""
    found = list(dict.fromkeys(system["formula"] for system in systems))
    return in_words(found) if len(found) <= MOST_FORMULAS else ""


def in_words(names: Sequence[str]) -> str:
    """`Ni`, `Ni and O`, `Ni, Fe and O`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _hardly_labelled(row: ErrorRow, spread: Errors) -> bool:
    """Whether the labels of a part are near zero, as longitudinal ones of relaxed lengths are."""
    if not row.quantity.whole:
        return False
    part, whole = (
        spread.get(QUANTITIES[name.removesuffix(SCALED)].rmse + (f"/{row.element}" if row.element else ""))
        for name in (row.quantity.name, row.quantity.whole)
    )
    return part is not None and whole is not None and part < LITTLE * whole


def _share(value: float | None, spread: float | None) -> float | None:
    return value / spread if value is not None and spread else None


# ---- filters ----


def number(value: float | None, shown: Callable[[float], str] = rounded) -> Markup:
    """Three digits to read, and all of them for a program."""
    if value is None:
        return Markup('<span class="none" title="none">–</span>')
    return Markup('<data value="{}">{}</data>').format(repr(value), shown(value))


def meV(value: float | None, shown: Callable[[float], str] = rounded) -> Markup:  # noqa: N802
    """A number of eV in meV."""
    return number(None if value is None else 1000 * value, shown)


def residual(value: float | None) -> Markup:
    """A number of eV in meV that may be no more than rounding."""
    return meV(value, "{:.2g}".format)


def percent(share: float) -> str:
    """0.0123 → `1.2 %`."""
    return f"{100 * share:.{0 if share >= 0.0995 else 1}f} %"


def unit(text: str) -> Markup:
    """A unit with its subscript."""
    return escape(text).replace("μ_B", Markup("μ<sub>B</sub>"))


def symbols(text: str) -> Markup:
    """`J_ij`, `μ_B`, `F_mag` and `Σ_{i≠j}` with their subscripts."""
    parts = re.split(r"(?<!\w)(\w_(?:\{[^}]*\}|[A-Za-z]{1,3}))(?!\w)", text)
    made = [
        Markup("{}<sub>{}</sub>").format(part[0], part[2:].strip("{}")) if number % 2 else escape(part)
        for number, part in enumerate(parts)
    ]
    return Markup("").join(made)


def formula(text: str) -> Markup:
    """A composition with its numbers as subscripts."""
    parts = re.split(r"(\d+)", text)
    return Markup("").join(Markup("<sub>{}</sub>").format(p) if p.isdigit() else escape(p) for p in parts)


def breakable(text: str) -> Markup:
    """A text whose long names of systems may break on a narrow page, but not within a word."""
    parts = re.split(rf"(\S{{{LONG + 1},}})", text)
    made = [_in_parts(part) if number % 2 else escape(part) for number, part in enumerate(parts)]
    return Markup("").join(made)


def _in_parts(name: str) -> Markup:
    parts = Markup("<wbr>").join(re.findall(r"[^_\-/.]*[_\-/.]|[^_\-/.]+", name))
    return Markup('<span class="long">{}</span>').format(parts)


def date(moment: str) -> str:
    """`22 November 2026, 20:45` of an ISO time."""
    time = datetime.fromisoformat(moment)
    return f"{time.day} {time:%B %Y, %H:%M}"
