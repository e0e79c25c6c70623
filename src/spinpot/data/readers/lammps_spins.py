"""Finds the columns of a LAMMPS dump that are spins: by name, or by values that fit in every frame."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from spinpot.core.errors import InputError
from spinpot.data.readers.moments import AGREE
from spinpot.data.readers.reader import Wanted

Columns = Mapping[str, np.ndarray]
"""{column name: numbers (N,)} of a frame."""

NAMED = ("spx", "spy", "spz")
LENGTH = "sp"
UNIT = 5e-3  # tolerance for the length 1 of directions; dumps have few digits
EXPECTED = "a direction of length 1 beside a length ≥ 0, as `compute property/atom sp spx spy spz` gives them"

_MEMBER = re.compile(r"(.+)\[(\d+)\]")


class SpinColumns(NamedTuple):
    """The columns of the spins. direction: three; length: that of |S|, None if the three are the moments."""

    direction: tuple[str, ...]
    length: str | None

    @property
    def names(self) -> tuple[str, ...]:
        """The columns in the order of sp spx spy spz."""
        return ((self.length,) if self.length else ()) + self.direction

    @property
    def source(self) -> str:
        """The columns for notes and messages."""
        vectors = " ".join(self.direction)
        return f"{self.length} · ({vectors})" if self.length else vectors

    def moments(self, columns: Columns) -> np.ndarray:
        """(N, 3), μ_B."""
        vectors = stacked(columns, self.direction)
        return columns[self.length][:, None] * vectors if self.length else vectors

    def fit(self, columns: Columns) -> bool:
        """Whether these are directions of length 1 and lengths ≥ 0; atoms without moment may have none."""
        lengths = columns[self.length] if self.length else np.ones(1)
        norms = np.linalg.norm(stacked(columns, self.direction), axis=1)
        unit = np.abs(norms - 1.0) <= UNIT
        return bool((lengths >= 0.0).all() and (unit | ((lengths == 0.0) & (norms == 0.0))).all())


class SpinSearch:
    """Finds the spin columns of frames with the same columns, which are added one at a time.

    names: of the columns with numbers. Raises InputError if the user names columns that are not there.
    """

    def __init__(self, names: Sequence[str], where: str, wanted: Wanted) -> None:
        self.names, self.where, self.wanted = names, where, wanted
        self.groups = computes(names)
        self.known: SpinColumns | None = None
        if given := wanted.columns.get("spin"):
            own = named_columns(given, names, where, wanted.option("moments", given))
            self.groups = {given: list(own)}
            if len(given.split()) == 4:
                self.known = SpinColumns(own[1:], own[0])
            elif len(own) == 3:
                self.known = SpinColumns(own, None)
        elif set(NAMED) <= set(names):
            self.known = SpinColumns(NAMED, LENGTH if LENGTH in names else None)
        self.fitting = [] if self.known else [one for own in self.groups.values() for one in _possible(own)]
        self.carrying: set[str] = set()
        self.apart: set[tuple[SpinColumns, SpinColumns]] = set()

    def add(self, columns: Columns, where: str) -> None:
        """Keep what also fits the next frame. Raises InputError if columns named spx spy spz do not fit."""
        if self.known and "spin" not in self.wanted.columns:
            _check_named(self.known, columns, where, self.wanted)
        self.fitting = [found for found in self.fitting if found.fit(columns)]
        self.carrying |= {
            found.length for found in self.fitting if found.length and columns[found.length].any()
        }
        moments = [(found, found.moments(columns)) for found in self.fitting]
        for (one, first), (other, second) in combinations(moments, 2):
            if np.abs(second - first).max() > AGREE:
                self.apart.add((one, other))

    def found(self) -> SpinColumns | None:
        """The spin columns; None if there are none and the user allows it.

        Raises InputError if no columns or several sets of columns fit, and for directions without lengths
        unless the user gives their meaning.
        """
        candidates = [self.known] if self.known else self._candidates()
        where, wanted, given = self.where, self.wanted, self.wanted.columns.get("spin")
        if not candidates:
            if wanted.non_magnetic and not given:
                return None
            raise InputError(self._nothing())
        first, *others = candidates
        if any((first, other) in self.apart for other in others):
            sources = ", ".join(block.source for block in candidates)
            options = " or ".join(wanted.option("moments", " ".join(block.names)) for block in candidates)
            raise InputError(
                f"{where}: several columns can be the spins: {sources}. Name those to use: {options}."
            )
        if first.length is None and wanted.moment_unit is None and not given:
            raise InputError(
                f"{where}: {first.source} are directions (length 1), and no column beside them holds "
                "lengths. Dump sp too, or name its column: "
                f"{wanted.option('moments', f'LENGTH {first.source}')}. If the moments are 1 μ_B, give "
                f"{wanted.option('moment_unit', 'mu_B')}; if their lengths are unknown, "
                f"{wanted.option('moment_unit', 'direction')}. Both keep the length 1."
            )
        return first

    def _candidates(self) -> list[SpinColumns]:
        """Sets of four columns of one compute that fit; else sets of three directions.

        Of the sets of four, preferably those that leave whole vectors of three columns.
        """
        blocks = []
        for members in self.groups.values():
            own = [one for one in self.fitting if one.length in self.carrying and one.length in members]
            blocks += [one for one in own if _leaves_vectors(one, members)] or own
        return blocks or [one for one in self.fitting if one.length is None]

    def _nothing(self) -> str:
        """The message if no columns fit."""
        where, wanted, name = self.where, self.wanted, self.wanted.option("moments", "LENGTH X Y Z")
        if given := wanted.columns.get("spin"):
            return (
                f"{wanted.option('moments', given)}: {where}: expected {EXPECTED}; or three columns, which "
                f"are then the moments; or four, the length first: {name}."
            )
        return (
            f"{where}: no spins. Expected {EXPECTED}, in columns of one compute or named sp spx spy spz. It "
            f"has: {' '.join(self.names)}. If other columns hold the moments, name them: {name}. "
            f"{wanted.hint}."
        )


def computes(names: Sequence[str]) -> dict[str, list[str]]:
    """{compute, fix or variable: its columns NAME[1], NAME[2], … in order}."""
    found: dict[str, dict[int, str]] = {}
    for name in names:
        if member := _MEMBER.fullmatch(name):
            found.setdefault(member[1], {})[int(member[2])] = name
    return {name: [members[number] for number in sorted(members)] for name, members in found.items()}


def named_columns(given: str, names: Sequence[str], where: str, option: str) -> tuple[str, ...]:
    """The columns that a user names: `c_f` for all of a compute, or some as in "vx vy vz"."""
    members = computes(names)
    found = tuple(name for word in given.split() for name in members.get(word, [word]))
    if not found or not set(found) <= set(names):
        raise InputError(f"{option}: {where} has no such columns. It has: {' '.join(names)}.")
    return found


def _possible(members: Sequence[str]) -> Iterator[SpinColumns]:
    """The sets of four consecutive columns, the length first or last, and of three."""
    for four in _windows(members, 4):
        yield SpinColumns(four[1:], four[0])
        yield SpinColumns(four[:3], four[3])
    for three in _windows(members, 3):
        yield SpinColumns(three, None)


def _leaves_vectors(block: SpinColumns, members: Sequence[str]) -> bool:
    """Whether the columns before and after four consecutive ones are whole vectors of three."""
    first = min(map(members.index, block.names))
    return first % 3 == 0 and (len(members) - first - 4) % 3 == 0


def _check_named(found: SpinColumns, columns: Columns, where: str, wanted: Wanted) -> None:
    if not found.fit(columns):
        norms = np.linalg.norm(stacked(columns, found.direction), axis=1)
        shortest = columns[found.length].min() if found.length else 1.0
        raise InputError(
            f"{where}: {found.source}: the vectors have lengths from {norms.min():.4g} to {norms.max():.4g}, "
            f"and {found.length or 'the length'} is at least {shortest:.4g}. Expected {EXPECTED}. If the "
            f"vectors are the moments, give {wanted.option('moments', ' '.join(NAMED))}."
        )


def _windows(members: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(members[first : first + size]) for first in range(len(members) - size + 1)]


def stacked(columns: Columns, names: Sequence[str]) -> np.ndarray:
    """Columns (N,) side by side."""
    return np.stack([columns[name] for name in names], axis=1)
