"""Collects lines for the user; each line is printed once, with the places it holds for."""

from collections.abc import Iterator

from spinpot.core.console import print_line

NAMED = 3
"""Number of places that a line names; it counts the others."""


class Notes:
    """Collects lines and the places (files, systems) each holds for, and prints them grouped.

    One line about 400 systems is one line: "forces.npy: read as force (a, b, c and 397 more)".
    """

    def __init__(self) -> None:
        self._places: dict[str, list[str]] = {}

    def add(self, line: str, where: str = "") -> None:
        """Add a line about one place; each place is stored once per line."""
        places = self._places.setdefault(line, [])
        if where and where not in places[-1:]:
            places.append(where)

    def __iter__(self) -> Iterator[str]:
        for line, places in self._places.items():
            yield f"{line} ({shortened(places)})" if places else line

    def print(self) -> None:
        """Print the collected lines, and clear them."""
        for line in self:
            print_line(line)
        self._places.clear()


def shortened(names: list[str], most: int = NAMED) -> str:
    """The first names, and the number of the others: "a, b, c and 397 more"."""
    named = ", ".join(names[:most])
    return f"{named} and {len(names) - most} more" if len(names) > most else named
