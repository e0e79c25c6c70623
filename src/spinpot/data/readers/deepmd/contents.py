"""Chooses the arrays of a set by name: which are read, which are read under other names, which are unused."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from spinpot.core.errors import InputError
from spinpot.data.readers.deepmd.npy_header import ArrayHeader
from spinpot.data.readers.deepmd.rows import Rows
from spinpot.data.readers.names import ALIASES

ARRAYS = tuple(ALIASES)

REAL_TYPES = "real_atom_types"
"""The array with the atom types of each frame; a system that has it is in the mixed layout."""

ADVICE = {
    "stress": ": virial = −volume · stress, in eV; write it to virial{ending}",
    "stresses": ": virial = −volume · stress, in eV; write it to virial{ending}",
    "magmom": ", moments are read from spin{ending}",
    "magmoms": ", moments are read from spin{ending}",
    "initial_magmoms": ", moments are read from spin{ending}",
}
"""Advice for some arrays that are not used."""


@dataclass(frozen=True)
class StoredSet:
    """One `set.*` of a system: its place, the headers of its arrays by deepmd-kit's names, and notes on
    arrays with other names. A folder in the raw layout is one set.
    """

    where: str
    arrays: dict[str, ArrayHeader]
    notes: tuple[str, ...]

    @property
    def frames(self) -> int:
        """Number of frames of the set: rows of coord."""
        return self.arrays["coord"].shape[0]


def contents(
    where: str,
    there: Mapping[str, Callable[[], ArrayHeader]],
    ending: str,
    mixed: bool = True,
    beside: Iterable[str] = (),
) -> StoredSet:
    """Read the headers of a set's arrays, and note every array that is renamed or not used.

    there: {name without ending: function that reads the header}; called only for arrays that are used.
    ending: `.npy`, `.raw` or "". mixed: whether each frame may have its own atom types. beside: notes on
    other files.

    Raises InputError if two arrays with the same meaning differ.
    """
    arrays: dict[str, ArrayHeader] = {}
    notes: list[str] = []
    known = {**ALIASES, REAL_TYPES: (REAL_TYPES,)} if mixed else ALIASES
    for name, aliases in known.items():
        found = [alias for alias in aliases if alias in there]
        if not found:
            continue
        header = arrays[name] = there[found[0]]()
        if found[0] != name:
            notes.append(f"{found[0]}{ending}: read as {name}")
        for other in found[1:]:
            _refuse_another(header, there[other](), name)
            notes.append(f"{other}{ending}: not used, it holds the same numbers as {found[0]}{ending}")
    used = {alias for aliases in known.values() for alias in aliases}
    notes += [unused(name, ending) for name in sorted(there) if name not in used]
    return StoredSet(where, arrays, (*notes, *beside))


def unused(name: str, ending: str) -> str:
    """The note on an array that is not used."""
    return f"{name}{ending}: not used{ADVICE.get(name, '').format(ending=ending)}"


def _refuse_another(one: ArrayHeader, other: ArrayHeader, name: str) -> None:
    """Raise InputError unless both arrays agree within the precision of the coarser one."""
    a, b = (Rows([header], header.shape[1:])[:].ravel() for header in (one, other))
    kinds = [header.dtype for header in (one, other) if header.dtype.kind == "f"]
    precision = max((float(np.finfo(kind).eps) for kind in kinds), default=0.0)
    scale = np.abs(a).max(initial=0.0)
    if a.size == b.size and np.allclose(a, b, rtol=0.0, atol=precision * scale, equal_nan=True):
        return
    raise InputError(
        f"{one.where} and {other.where}: both would be read as {name}, and they differ. Expected one of "
        "them, or the same numbers in both. Remove the one that is wrong."
    )
