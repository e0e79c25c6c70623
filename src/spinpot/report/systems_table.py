"""Sets of systems as tables that stay readable: of many systems, those of the same elements are one row."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from spinpot.core.console import console, print_table
from spinpot.core.quantities import OF_LABEL

MOST = 20  # systems of one set that have a row each
GROUPS = 12  # rows of a set of more systems
MOST_MOMENTS = 2  # elements whose |S| have room in a row; of more, they are a table of their own

Described = Mapping[str, Any]
"""A system as spinpot.data.description has it; of several systems, `atoms` is a range such as 4–12."""


def rows_of(systems: Sequence[Described], most: int = MOST, groups: int = GROUPS) -> list[Described]:
    """A row per system; of more than `most`, one per elements and labels, those with most frames first.

    Rows beyond `groups` become one, which counts what is in it.
    """
    if len(systems) <= most:
        return list(systems)
    alike: dict[tuple[Any, ...], list[Described]] = {}
    for system in systems:
        alike.setdefault((elements_of(system["formula"]), tuple(system["labels"])), []).append(system)
    ordered = sorted(alike.items(), key=lambda group: -_frames(group[1]))
    kept = ordered if len(ordered) <= groups else ordered[: groups - 1]
    rows = [_row(" ".join(elements), own) for (elements, _), own in kept]
    if left := ordered[len(kept) :]:
        sets = len({elements for (elements, _), _ in left})
        rows.append(_row(f"others ({sets} sets)", [system for _, own in left for system in own]))
    return rows


def elements_of(formula: str) -> tuple[str, ...]:
    """The elements of a composition such as Ni16O16, in its order."""
    return tuple(re.findall("[^0-9]+", formula))


def _row(elements: str, own: Sequence[Described]) -> Described:
    """Several systems as one; labels that only some have are `partly` there."""
    atoms = sorted({system["atoms"] for system in own})
    labels = list(dict.fromkeys(label for system in own for label in system["labels"]))
    everywhere = [label for label in labels if all(label in system["labels"] for system in own)]
    return {
        "name": f"{len(own):,} system{'s' * (len(own) > 1)}",
        "formula": elements,
        "frames": _frames(own),
        "atoms": "–".join(map(str, dict.fromkeys((atoms[0], atoms[-1])))),
        "labels": everywhere,
        "partly": [label for label in labels if label not in everywhere],
        "moments": ranges_of(own),
        "systems": len(own),
    }


def _frames(systems: Sequence[Described]) -> int:
    return sum(system["frames"] for system in systems)


def ranges_of(systems: Sequence[Described]) -> dict[str, list[float]]:
    """The range of |S| (μ_B) of each element over all systems."""
    found: dict[str, list[float]] = {}
    for system in systems:
        for element, (low, high) in system["moments"].items():
            known = found.get(element, [low, high])
            found[element] = [min(low, known[0]), max(high, known[1])]
    return found


def print_systems(title: str, sets: Mapping[str, Sequence[Described]]) -> None:
    """Print systems, frames, atoms, labels and moments of each set, by its name."""
    rows = {name: rows_of(systems) for name, systems in sets.items()}
    every = [row for own in rows.values() for row in own]
    beside = all("systems" not in row and len(row["moments"]) <= MOST_MOMENTS for row in every)
    table = Table(title=title, title_justify="left")
    for column in ("set", "system", "frames", "atoms", "labels", *["|S| (μ_B)"] * beside):
        whole = column in ("set", "frames", "labels")
        table.add_column(
            column, justify="right" if column == "frames" else "left", no_wrap=whole, overflow="fold"
        )
    for name, own in rows.items():
        for row in own:
            table.add_row(name, *_cells(row), *[_in_words(row["moments"])] * beside)
    console.print(table)
    if not beside:
        _print_moments({name: ranges_of(systems) for name, systems in sets.items()})


def _cells(row: Described) -> list[Text | str]:
    atoms = f"{row['formula']}, {row['atoms']} atoms" if "systems" in row else row["formula"]
    labels = [OF_LABEL[label].symbol for label in row["labels"]]
    labels += [f"({OF_LABEL[label].symbol})" for label in row.get("partly", ())]
    return [Text(row["name"]), str(row["frames"]), atoms, " ".join(labels) or "none"]


def _in_words(moments: Mapping[str, Sequence[float]]) -> str:
    return ", ".join(f"{element} {low:.3f}–{high:.3f}" for element, (low, high) in moments.items())


def _print_moments(ranges: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    """|S| by element, a column per set."""
    rows = []
    for element in dict.fromkeys(element for own in ranges.values() for element in own):
        found = (own.get(element) for own in ranges.values())
        rows.append((element, *(f"{one[0]:.3f}–{one[1]:.3f}" if one else "–" for one in found)))
    columns = ("element", *ranges)
    print_table("|S| (μ_B)", columns, rows, columns)
