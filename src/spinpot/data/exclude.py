"""`data.exclude`: leaves frames out of the sets, by system and frame number."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spinpot.core.errors import InputError
from spinpot.core.notes import shortened
from spinpot.data.systems import System, part_of

EXAMPLE = "such as data.exclude='{data_0: [8, 12-15]}'"
MOST = 20
"""Largest number of frames or systems that a message names."""


class Exclude:
    """Leaves frames out of systems while the sets are read; then checks that every entry matched one system.

    wanted: {system: list of frame numbers and ranges such as "12-15"}, counted from 0 over all files of the
    system. A key is the system's name, its path, or the end of its path. Raises InputError for anything else.
    """

    def __init__(self, wanted: Mapping[str, Any] | None) -> None:
        self.wanted = {str(key): _ranges(str(key), numbers) for key, numbers in (wanted or {}).items()}
        self.found: dict[str, dict[str, int]] = {key: {} for key in self.wanted}  # {place: frames}
        self.left_out: dict[str, dict[str, list[int]]] = {}
        self.names: list[str] = []

    def of(self, system: System, set_name: str) -> System:
        """A system of a set without its excluded frames; it may be empty."""
        self.names.append(system.name)
        leaves = np.zeros(len(system), dtype=bool)
        for key in (key for key in self.wanted if _names(key, system)):
            self.found[key][_place(system)] = len(system)
            for numbers in self.wanted[key]:
                leaves[numbers.start : numbers.stop] = True
        if not leaves.any():
            return system
        self.left_out.setdefault(set_name, {})[system.name] = np.flatnonzero(leaves).tolist()
        return part_of(system, np.flatnonzero(~leaves))

    def lines(self) -> Iterator[str]:
        """Lines on the excluded frames; to be called after all sets have been read.

        Raises InputError for an entry that names no system, several systems, or frames its system lacks.
        """
        for key, numbers in self.wanted.items():
            self._check_one(key)
            self._check_range(key)
            if frames := sorted({number for part in numbers for number in part}):
                plural = "s" * (len(frames) > 1)
                shown = shortened(list(map(str, frames)), MOST)
                yield f"data.exclude leaves out {len(frames)} frame{plural} of {key}: {shown}."

    def _check_one(self, key: str) -> None:
        if not (places := self.found[key]):
            known = shortened(list(dict.fromkeys(self.names)), MOST)
            raise InputError(
                f"data.exclude: no set has a system {key}. Expected the name or the path of a system. The "
                f"systems are: {known}. Correct the name, or exclude nothing with data.exclude=null."
            )
        if len(places) > 1:
            raise InputError(
                f"data.exclude: {key} names {len(places)} systems: {shortened(list(places), MOST)}. Expected "
                "one. Give a longer part of its path."
            )

    def _check_range(self, key: str) -> None:
        ((place, frames),) = self.found[key].items()
        last = max((part.stop for part in self.wanted[key]), default=0) - 1
        if last >= frames:
            raise InputError(
                f"data.exclude: {key} has no frame {last}: {place} holds {frames} frames. Expected numbers "
                f"from 0 to {frames - 1}, counted over all its files. Correct the number."
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
            f"data.exclude: {key}: {number} is not a frame number. Expected whole numbers from 0 on, or "
            f"ranges of them, {EXAMPLE}. Correct it."
        )
    return range(int(ends[1]), int(ends[2]) + 1)


def _names(key: str, system: System) -> bool:
    """Whether an entry is a system's name, its path, or the end of its path."""
    path = Path(key).expanduser()
    parts = Path(os.path.abspath(path) if ".." in path.parts else path).parts
    return key == system.name or parts == Path(_place(system)).parts[-len(parts) :]


def _place(system: System) -> str:
    """The path of a system, with `#part` if its file or folder holds several systems."""
    assert system.stored is not None
    part = system.name.rpartition("#")[2] if system.stored.mixed else system.stored.group
    where = os.path.abspath(system.stored.path)
    return f"{where}#{part}" if part and "#" in system.name else where
