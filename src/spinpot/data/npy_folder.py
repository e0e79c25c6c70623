"""Writes systems as folders in deepmd-kit's npy layout."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np

from spinpot.data.cell import with_vacuum
from spinpot.data.frame_checks import PER_FRAME
from spinpot.data.readers.deepmd.stored import PBC
from spinpot.data.systems import System, parts

OF_ATOMS = ("coord", "spin", "force", "force_mag")
"""Arrays that may be written in float32: they are nearly all of the numbers, and none of them is large."""


def write_npy(
    system: System, folder: Path, given: Iterable[System] | None = None, float32: bool = False
) -> dict[str, float]:
    """Write deepmd-kit's npy layout in float64, with `nopbc` if nothing is periodic.

    deepmd-kit knows only crystals and clusters. Frames that are periodic along some directions only get
    pbc.raw for spinpot, and a vacuum in box.npy for deepmd-kit.

    given: the parts of the system, so that only one of them is in memory. float32: write the arrays OF_ATOMS
    in float32. Returns the largest change by float32, by array.
    """
    _describe(system, folder)
    files: dict[str, BinaryIO] = {}
    changed: dict[str, float] = {}
    with ExitStack() as opened:
        for part in parts(system) if given is None else given:
            for name, rows in _rows(part):
                short = float32 and name in OF_ATOMS
                kept = np.ascontiguousarray(rows, np.float32 if short else np.float64)
                if name not in files:
                    file = opened.enter_context(open(folder / "set.000" / f"{name}.npy", "wb"))
                    files[name] = file
                    header = np.lib.format.header_data_from_array_1_0(kept)
                    header["shape"] = (len(system), *rows.shape[1:])
                    np.lib.format.write_array_header_1_0(file, header)
                files[name].write(kept.data)
                if short:
                    changed[name] = max(changed.get(name, 0.0), float(np.abs(rows - kept).max(initial=0.0)))
    return changed


def _describe(system: System, folder: Path) -> None:
    """Write the files that hold for all frames: types, names, periodicity."""
    (folder / "set.000").mkdir(parents=True)
    (folder / "type.raw").write_text("".join(f"{kind}\n" for kind in system.types))
    (folder / "type_map.raw").write_text("".join(f"{name}\n" for name in system.type_map))
    if not any(system.pbc):
        (folder / "nopbc").touch()
    elif not all(system.pbc):
        (folder / PBC).write_text(" ".join(str(int(periodic)) for periodic in system.pbc) + "\n")


def _rows(system: System) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays of the system in deepmd-kit's shapes: one row per frame."""
    for name in PER_FRAME:
        values = getattr(system, name)
        if name == "box" and not all(system.pbc):
            values = with_vacuum(np.asarray(system.box), np.asarray(system.coord), system.pbc)
        if values is not None:
            yield name, values if name == "energy" else values.reshape(len(system), -1)
