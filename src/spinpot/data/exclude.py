"""`data.exclude`: frames that the sets are read without, by system and number."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spinpot.core.errors import InputError
from spinpot.core.notes import shortened
from spinpot.data.systems import System, part_of

EXAMPLE = "such as data.exclude='{data_0: [8, 12-15]}'"
MOST = 20
"""Frames or systems that are named."""


@dataclass(frozen=True)
class Found:
    """A system that an entry names: its set, name, place on disk, and how many frames were read."""

    set_name: str
    system: str
    place: str
    frames: int


class Exclude:
    """Leaves frames out of systems while the sets are read, and then checks that every entry had its system.

    wanted: lists of frame numbers, counted from 0 over all files of a system, and ranges such as "12-15"; by
    the system's name, or by a path to it or the end of one. Raises InputError for what is neither.
    """

    def __init__(self, wanted: Mapping[str, Any] | None) -> None:
        self.wanted = {str(key): _ranges(str(key), numbers) for key, numbers in (wanted or {}).items()}
        self.found: dict[str, list[Found]] = {key: [] for key in self.wanted}
        self.left_out: dict[str, dict[str, list[int]]] = {}
        self.names: list[str] = []

    def of(self, system: System, set_name: str) -> System:
        """A system of a set without its frames of these numbers; maybe without any frame."""
        self.names.append(system.name)
        leaves = np.zeros(len(system), dtype=bool)
        for key in (key for key in self.wanted if _names(key, system)):
            self.found[key].append(Found(set_name, system.name, _place(system), len(system)))
            for numbers in self.wanted[key]:
                leaves[numbers.start : numbers.stop] = True
        if not leaves.any():
            return system
        self.left_out.setdefault(set_name, {})[system.name] = np.flatnonzero(leaves).tolist()
        return part_of(system, np.flatnonzero(~leaves))

    def lines(self) -> Iterator[str]:
        """What was left out, when all sets have been read.

        Raises InputError for an entry that names no system or several, or frames that its system lacks.
        """
        for key, numbers in self.wanted.items():
            found = self.found[key]
            self._check_one(key, {one.place: one.system for one in found})
            self._check_range(key, found[0])
            frames = sorted({number for part in numbers for number in part})
            if frames:
                plural = "s" * (len(frames) > 1)
                shown = shortened(list(map(str, frames)), MOST)
                yield f"data.exclude leaves out {len(frames)} frame{plural} of {key}: {shown}."

    def _check_one(self, key: str, places: Mapping[str, str]) -> None:
        if not places:
            known = shortened(list(dict.fromkeys(self.names)), MOST)
            raise InputError(
                f"data.exclude: no set has a system {key}. Expected the name of one, or a path that names "
                f"it. There are: {known}. Correct the name, or leave nothing out by data.exclude=null."
            )
        if len(places) > 1:
            raise InputError(
                f"data.exclude: {key} names {len(places)} systems: {shortened(list(places), MOST)}. Expected "
                "one. Give a longer part of its path."
            )

    def _check_range(self, key: str, found: Found) -> None:
        last = max((part.stop for part in self.wanted[key]), default=0) - 1
        if last >= found.frames:
            raise InputError(
                f"data.exclude: {key} has no frame {last}: {found.place} holds {found.frames} frames. "
                f"Expected numbers from 0 to {found.frames - 1}, counted over all its files. Correct the "
                "number."
            )


def _ranges(key: str, numbers: Any) -> list[range]:
    if not isinstance(numbers, list | tuple):
        raise InputError(f"data.exclude: {key}: {numbers}. Expected a list of frame numbers, {EXAMPLE}.")
    return [_range(key, one) for one in numbers]


def _range(key: str, number: Any) -> range:
    if type(number) is int and number >= 0:
        return range(number, number + 1)
    ends = re.fullmatch(r"(\d+) *- *(\d+)", number) if isinstance(number, str) else None
    if ends is None or int(ends[1]) > int(ends[2]):
        raise InputError(
            f"data.exclude: {key}: {number} is no frame. Expected whole numbers from 0 on, or ranges of "
            f"them, {EXAMPLE}. Correct it."
        )
    return range(int(ends[1]), int(ends[2]) + 1)


def _names(key: str, system: System) -> bool:
    """Whether an entry is a system's name, or its path or the end of that."""
    path = Path(key).expanduser()
    parts = Path(os.path.abspath(path) if ".." in path.parts else path).parts
    return key == system.name or parts == Path(_place(system)).parts[-len(parts) :]


def _place(system: System) -> str:
    """The path of a system; of one in a file with several, or with several compositions, its #part too."""
    assert system.stored is not None
    part = system.name.rpartition("#")[2] if system.stored.mixed else system.stored.group
    where = os.path.abspath(system.stored.path)
    return f"{where}#{part}" if part and "#" in system.name else where
