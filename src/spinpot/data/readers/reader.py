"""What a reader of frames is, and what a user may tell it."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from spinpot.core.notes import Notes
from spinpot.data.systems import System


@dataclass(frozen=True)
class Wanted:
    """What the user says beside the path.

    elements: of the types of formats that have only numbers, and the order of the type map.
    rename: labels of the file → elements. columns: array of conventions (`force`, `spin`, …) → the column or
    key to read it from. moment_unit: `mu_B`, or `direction` for unit vectors. non_magnetic: frames without
    moments have none. magnetic: elements with virtual atoms in the old layout; virtual_scale: their distance
    over the moment, Å/μ_B. keywords: whether messages name options as keywords (`moments=spin`) in place of
    flags (`--moments spin`).
    """

    elements: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    moment_unit: str | None = None
    non_magnetic: bool = False
    magnetic: tuple[str, ...] = ()
    virtual_scale: float | None = None
    keywords: bool = False

    def option(self, name: str, value: str = "") -> str:
        """An option as the user gives it; name: its keyword."""
        if self.keywords:
            return f"{name}={value}"
        return f"--{name.replace('_', '-')} {shlex.quote(value) if value else ''}".rstrip()


class Reader(Protocol):
    """One format. name: as `--format` takes it; what: in a few words, for the list of what is read.

    runs: whether a place stands for itself, as the output of a calculation, so that one that cannot be read
    does not stop the others of a folder.
    """

    name: str
    what: str
    runs: bool

    def knows(self, path: Path) -> bool:
        """Whether this file or folder itself is of the format, by its name and its first bytes."""

    def read(self, place: Path, wanted: Wanted, notes: Notes) -> list[System]:
        """The systems at a place. Notes say which columns and keys were used, which were not, and why.

        Raises InputError for what cannot be used.
        """
