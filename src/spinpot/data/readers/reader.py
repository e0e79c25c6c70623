"""The interface of a reader of frames, and the user's options for it."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from spinpot.core.errors import InputError
from spinpot.core.notes import Notes
from spinpot.data.readers.names import OPTIONS
from spinpot.data.systems import System


@dataclass(frozen=True)
class Wanted:
    """The user's options beside the path.

    elements: element of each type, for formats with only type numbers; also the order of the type map.
    rename: labels in the file → elements. columns: array (`force`, `spin`, …) → the column or key to read it
    from. moment_unit: `mu_B`, or `direction` for unit vectors, which a column of lengths multiplies if there
    is one. non_magnetic: set missing moments to zero.
    magnetic: elements with virtual atoms in the old layout; virtual_scale: their distance per moment, Å/μ_B.
    keywords: messages name options as keywords (`moments=spin`) instead of flags (`--moments spin`).
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

    @property
    def hint(self) -> str:
        """What to do with frames that have no moments because they are not magnetic."""
        return f"For frames that are not magnetic, give {self.option('non_magnetic')}"


def refuse_choices(place: Path, wanted: Wanted) -> None:
    """Raise InputError for choices that a layout of deepmd-kit does not have."""
    given = [wanted.option(OPTIONS[array], name) for array, name in wanted.columns.items()]
    given += [wanted.option("rename", f"{label}={name}") for label, name in wanted.rename.items()]
    if wanted.moment_unit:
        given.append(wanted.option("moment_unit", wanted.moment_unit))
    if given:
        raise InputError(
            f"{place}: a layout of deepmd-kit, whose arrays and units are fixed (moments in μ_B). Leave out "
            f"{' '.join(given)}; convert frames of other formats by a separate command."
        )


class Reader(Protocol):
    """A reader of one format. name: for `--format`; what: short description, for the list of formats.

    runs: whether each place is the output of a separate calculation: if one cannot be read, the others in a
    folder are still read.
    """

    name: str
    what: str
    runs: bool

    def knows(self, path: Path) -> bool:
        """Whether this file or folder has the format, judged by its name and first bytes."""

    def read(self, place: Path, wanted: Wanted, notes: Notes) -> list[System]:
        """The systems at a place. Notes say which columns and keys were used, which were not, and why.

        Raises InputError for unusable frames.
        """
