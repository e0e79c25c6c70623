"""deepmd-kit's old TensorFlow layout: virtual atoms come last, at R + η S; their forces encode −∂E/∂S."""

import os
from pathlib import Path

import numpy as np

from spinpot.core.errors import InputError
from spinpot.core.notes import Notes
from spinpot.data.cell import completed, nearest_image
from spinpot.data.readers.deepmd.checks import check_stored
from spinpot.data.readers.deepmd.contents import REAL_TYPES
from spinpot.data.readers.deepmd.folders import from_folder
from spinpot.data.readers.deepmd.stored import Stored, read_arrays
from spinpot.data.readers.frames import check_known
from spinpot.data.readers.reader import Wanted, refuse_choices
from spinpot.data.systems import System

LONGEST_ARM = 1.5  # Å, from a real atom to its virtual atom; a longer one belongs to another atom
UNUSED = ("spin", "force_mag", REAL_TYPES)
"""Arrays of the other layouts, which are redundant here: the virtual atoms and their forces hold them."""


class OldLayout:
    """Folders that look like npy but hold virtual atoms: read only with --format old."""

    name = "old"
    what = "deepmd-kit's old layout with virtual atoms (--format old)"
    runs = False

    def knows(self, path: Path) -> bool:
        """Never: no file says which atoms are virtual."""
        return False

    def read(self, place: Path, wanted: Wanted, notes: Notes) -> list[System]:
        """One system. Raises InputError if the virtual atoms are not at their expected places."""
        refuse_choices(place, wanted)
        stored = from_folder(place, os.listdir(place))
        check_stored(stored, wanted.elements, non_magnetic=True)
        for line in (*stored.notes, *(f"{name}: not used" for name in UNUSED if stored.has(name))):
            notes.add(line, str(place))
        return [_read(place, stored, wanted)]


def _read(path: Path, stored: Stored, wanted: Wanted) -> System:
    names = wanted.elements
    if (path / "type_map.raw").is_file():
        names = tuple((path / "type_map.raw").read_text().split())[: len(names) or None]
    if not names or not wanted.magnetic or not wanted.virtual_scale:
        raise InputError(
            f"{path}: the old layout does not say which atoms are virtual, nor how far away. Give "
            "--elements, --magnetic and --virtual-len with --spin-norm, e.g. --elements Ni O --magnetic Ni."
        )
    check_known(wanted.magnetic, names, "--magnetic")
    types = stored.types
    real = np.flatnonzero(types < len(names))
    owner = np.concatenate([np.flatnonzero(types == names.index(name)) for name in wanted.magnetic])
    if len(types) != len(real) + len(owner) or not np.array_equal(real, np.arange(len(real))):
        raise InputError(
            f"{path}: type.raw has {len(types) - len(real)} virtual atoms behind {len(real)} real ones; "
            f"expected {len(owner)}, one for each {' and '.join(wanted.magnetic)}. Correct --elements or "
            "--magnetic."
        )
    return _without_virtual(stored, names, owner, wanted.virtual_scale)


def _without_virtual(stored: Stored, names: tuple[str, ...], owner: np.ndarray, scale: float) -> System:
    """The system without virtual atoms, which come last. owner: (M,), the real atom of each virtual atom."""
    arrays, path, n = read_arrays(stored), stored.path, len(stored.types) - len(owner)
    coord, force = arrays["coord"], arrays.get("force")
    cell = completed(arrays["box"], stored.pbc)
    arm = coord[:, n:] - coord[:, owner]
    arm = nearest_image(arm @ np.linalg.inv(cell), stored.pbc) @ cell  # virtual atoms may have been wrapped
    longest = float(np.linalg.norm(arm, axis=-1).max(initial=0.0))
    if longest > LONGEST_ARM:
        raise InputError(
            f"{path}: a virtual atom lies {longest:.2f} Å from its real atom according to --magnetic. "
            "Expected 0.2 to 0.6 Å. Name the magnetic elements in the order of their virtual types."
        )
    spin, force_mag = np.zeros((2, len(coord), n, 3))
    spin[:, owner] = arm / scale
    if force is not None:
        force_mag[:, owner] = force[:, n:]
    return System(
        name=path.name,
        path=path,
        type_map=names,
        types=stored.types[:n],
        box=arrays["box"],
        coord=coord[:, :n],
        spin=spin,
        energy=arrays.get("energy"),
        force=force[:, :n] if force is not None else None,
        force_mag=force_mag if force is not None else None,
        virial=arrays.get("virial"),
        pbc=stored.pbc,
    )
