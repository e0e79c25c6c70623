"""Finds the columns of a LAMMPS dump that are spins: by name, or by values that fit in every frame."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from spinpot.core.errors import InputError
from spinpot.data.readers.moments import AGREE
from spinpot.data.readers.reader import Wanted

Columns = Mapping[str, np.ndarray]
"""{column name: numbers}, all frames concatenated."""

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


def find_spins(columns: Columns, where: str, wanted: Wanted) -> SpinColumns | None:
    """The spin columns of frames with the same columns; None if there are none and the user allows it.

    Raises InputError if no columns or several sets of columns fit, and for directions without lengths unless
    the user gives their meaning.
    """
    if given := wanted.columns.get("spin"):
        return _as_told(given, columns, where, wanted)
    if set(NAMED) <= set(columns):
        found = SpinColumns(NAMED, LENGTH if LENGTH in columns else None)
        _check_named(found, columns, where, wanted)
    else:
        candidates = list(_candidates(columns, computes(columns)))
        if not candidates and wanted.non_magnetic:
            return None
        found = _only(candidates, columns, where, wanted)
    if found.length is None and wanted.moment_unit is None:
        raise InputError(
            f"{where}: {found.source} are directions (length 1), and no column beside them holds lengths. "
            f"Dump sp too, or name its column: {wanted.option('moments', f'LENGTH {found.source}')}. If the "
            f"moments are 1 μ_B, give {wanted.option('moment_unit', 'mu_B')}; if their lengths are unknown, "
            f"{wanted.option('moment_unit', 'direction')}. Both keep the length 1."
        )
    return found


def computes(names: Iterable[str]) -> dict[str, list[str]]:
    """{compute, fix or variable: its columns NAME[1], NAME[2], … in order}."""
    found: dict[str, dict[int, str]] = {}
    for name in names:
        if member := _MEMBER.fullmatch(name):
            found.setdefault(member[1], {})[int(member[2])] = name
    return {name: [members[number] for number in sorted(members)] for name, members in found.items()}


def named_columns(given: str, columns: Columns, where: str, option: str) -> tuple[str, ...]:
    """The columns that a user names: `c_f` for all of a compute, or some as in "vx vy vz"."""
    members = computes(columns)
    names = tuple(name for word in given.split() for name in members.get(word, [word]))
    if not names or not set(names) <= set(columns):
        raise InputError(f"{option}: {where} has no such columns. It has: {' '.join(columns)}.")
    return names


def _as_told(given: str, columns: Columns, where: str, wanted: Wanted) -> SpinColumns:
    option = wanted.option("moments", given)
    names = named_columns(given, columns, where, option)
    if len(given.split()) == 4:
        return SpinColumns(names[1:], names[0])
    if len(names) == 3:
        return SpinColumns(names, None)
    candidates = list(_candidates(columns, {given: list(names)}))
    if not candidates:
        raise InputError(
            f"{option}: {where}: expected {EXPECTED}; or three columns, which are then the moments; or four, "
            f"the length first: {wanted.option('moments', 'LENGTH X Y Z')}."
        )
    return _only(candidates, columns, where, wanted)


def _candidates(columns: Columns, groups: Mapping[str, Sequence[str]]) -> Iterator[SpinColumns]:
    """Sets of four columns of one compute that fit direction and length; else sets of three directions."""
    blocks = [block for members in groups.values() for block in _blocks(columns, members)]
    yield from blocks or (
        SpinColumns(tuple(three), None)
        for members in groups.values()
        for three in _windows(members, 3)
        if _are_directions(stacked(columns, three), np.ones(1))
    )


def _blocks(columns: Columns, members: Sequence[str]) -> list[SpinColumns]:
    """Sets of four columns of one compute; preferably those that leave whole vectors of three columns."""
    found = {}
    for first, four in enumerate(_windows(members, 4)):
        for length, direction in ((four[0], tuple(four[1:])), (four[3], tuple(four[:3]))):
            lengths = columns[length]
            positive = (lengths >= 0.0).all() and lengths.any()
            if positive and _are_directions(stacked(columns, direction), lengths):
                found[SpinColumns(direction, length)] = first
    whole = [b for b, first in found.items() if first % 3 == 0 and (len(members) - first - 4) % 3 == 0]
    return whole or list(found)


def _are_directions(vectors: np.ndarray, lengths: np.ndarray) -> bool:
    """Whether all vectors have the length 1; an atom without moment may have a zero vector."""
    norms = np.linalg.norm(vectors, axis=1)
    return bool(((np.abs(norms - 1.0) <= UNIT) | ((lengths == 0.0) & (norms == 0.0))).all())


def _only(candidates: Sequence[SpinColumns], columns: Columns, where: str, wanted: Wanted) -> SpinColumns:
    if not candidates:
        raise InputError(
            f"{where}: no spins. Expected {EXPECTED}, in columns of one compute or named sp spx spy spz. It "
            f"has: {' '.join(columns)}. If other columns hold the moments, name them: "
            f"{wanted.option('moments', 'LENGTH X Y Z')}. For frames that are not magnetic, give "
            f"{wanted.option('non_magnetic')}."
        )
    first, *others = (block.moments(columns) for block in candidates)
    if any(np.abs(other - first).max() > AGREE for other in others):
        options = " or ".join(wanted.option("moments", " ".join(block.names)) for block in candidates)
        raise InputError(
            f"{where}: several columns can be the spins: {', '.join(block.source for block in candidates)}. "
            f"Name those to use: {options}."
        )
    return candidates[0]


def _check_named(found: SpinColumns, columns: Columns, where: str, wanted: Wanted) -> None:
    lengths = columns[found.length] if found.length else np.ones(1)
    vectors = stacked(columns, found.direction)
    if not (lengths >= 0.0).all() or not _are_directions(vectors, lengths):
        norms = np.linalg.norm(vectors, axis=1)
        raise InputError(
            f"{where}: {found.source}: the vectors have lengths from {norms.min():.4g} to {norms.max():.4g}, "
            f"and {LENGTH if found.length else 'the length'} is at least {lengths.min():.4g}. Expected "
            f"{EXPECTED}. If the vectors are the moments, give {wanted.option('moments', ' '.join(NAMED))}."
        )


def _windows(members: Sequence[str], size: int) -> list[Sequence[str]]:
    return [members[first : first + size] for first in range(len(members) - size + 1)]


def stacked(columns: Columns, names: Sequence[str]) -> np.ndarray:
    """Columns (N,) side by side."""
    return np.stack([columns[name] for name in names], axis=1)
