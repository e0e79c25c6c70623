"""What lies on disk: `Stored` systems with their files, shapes and types, and at last their arrays.

The layouts are known to folders, hdf5_files and lmdb_files; `checks` judges what the headers show before any
array is read.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn, Self

import numpy as np

from spinpot.core.errors import InputError
from spinpot.data.cell import CLUSTER, PERIODIC, Periodic
from spinpot.data.readers.deepmd.contents import ARRAYS, REAL_TYPES, StoredSet
from spinpot.data.readers.deepmd.npy_header import ArrayHeader
from spinpot.data.readers.deepmd.rows import Rows


@dataclass(frozen=True, eq=False)
class Stored:
    """One stored system: a folder (layout `npy` or `raw`), a group of an HDF5 file (`hdf5`), or the frames of
    one composition in an LMDB database (`lmdb`).
    """

    path: Path
    group: str
    layout: str
    types: np.ndarray  # (N,) int64, indices into names
    names: tuple[str, ...] | None  # type_map.raw, None if there is none
    pbc: Periodic
    sets: tuple[StoredSet, ...]
    beside: tuple[str, ...] = ()  # lines on files beside the sets

    @property
    def where(self) -> str:
        """The place in words: the folder, or `file.hdf5#group`."""
        return place(self.path, self.group)

    @property
    def notes(self) -> list[str]:
        """Lines on what is read under another name and what is not used, each once."""
        return list(dict.fromkeys((*self.beside, *(note for s in self.sets for note in s.notes))))

    def bare(self) -> Self:
        """The same without what reads the arrays, to say where frames are."""
        sets = [
            replace(s, arrays={name: replace(header, read=_gone) for name, header in s.arrays.items()})
            for s in self.sets
        ]
        return replace(self, sets=tuple(sets))

    @property
    def mixed(self) -> bool:
        """Whether each frame brings its own atom types (deepmd's mixed layout)."""
        return self.has(REAL_TYPES)

    def has(self, array: str) -> bool:
        """Whether any set holds `array` (`spin`, `virial`, …)."""
        return any(array in s.arrays for s in self.sets)

    def locate(self, array: str, frame: int) -> str:
        """File and frame, both as the user finds them on disk, of a frame counted over all sets."""
        for s in self.sets:
            if frame < s.frames:
                file = s.arrays[array].where if array in s.arrays else s.where
                return f"{file}, frame {frame}"
            frame -= s.frames
        raise IndexError(f"{self.where} has no frame that far")


def place(path: Path, group: str) -> str:
    """A file or folder and a group in it, in words."""
    return f"{path}#{group}" if group else str(path)


def checked_types(types: np.ndarray, where: str) -> np.ndarray:
    """(N,) int64. Raises InputError for what are no indices."""
    if types.size == 0:
        raise InputError(f"{where}: no atoms. Expected one type index (0, 1, …) per atom.")
    wrong = np.flatnonzero(~(np.isfinite(types) & (types >= 0) & (types == np.floor(types))))
    if wrong.size:
        raise InputError(
            f"{where}: atom {wrong[0]} has type {types[wrong[0]]:g}. Expected whole numbers from 0 on, "
            "indices into type_map.raw."
        )
    return types.astype(np.int64)


def checked_names(names: list[str], where: str) -> tuple[str, ...]:
    """Raises InputError for none and for the same twice."""
    if not names:
        raise InputError(f"{where}: empty. Expected the elements' names in the order of the type indices.")
    if len(set(names)) < len(names):
        raise InputError(
            f"{where}: the same name twice: {' '.join(names)}. Types are told apart by name: use distinct "
            "names, or give these atoms one type."
        )
    return tuple(names)


PBC = "pbc.raw"
"""Of spinpot: three numbers, 1 for each lattice vector that the structure repeats along, else 0."""


def checked_pbc(nopbc: bool, numbers: list[str] | None, where: str) -> Periodic:
    """What deepmd-kit's mark `nopbc` and the numbers of PBC, if there are any, say. Raises InputError."""
    if numbers is None:
        return CLUSTER if nopbc else PERIODIC
    if len(numbers) != 3 or not set(numbers) <= {"0", "1"}:
        raise InputError(
            f"{where}: {' '.join(numbers)}. Expected three numbers, 1 for each lattice vector that the "
            "structure repeats along and 0 for others, e.g. 1 1 0. Correct it."
        )
    a, b, c = (number == "1" for number in numbers)
    if nopbc and (a or b or c):
        raise InputError(
            f"{where}: {' '.join(numbers)}, but nopbc is beside it, which says that nothing is periodic. "
            "Remove one of the two."
        )
    return a, b, c


def about(name: str) -> bool:
    """Whether the file of a name beside the frames says what they are."""
    return name in ("type.raw", "type_map.raw", PBC)


def shape_of(array: str, n_atoms: int) -> tuple[int, ...]:
    """Of an array of one frame."""
    shapes = {"box": (3, 3), "virial": (3, 3), "energy": (), REAL_TYPES: (n_atoms,)}
    return shapes.get(array, (n_atoms, 3))


def stored_arrays(stored: Stored) -> dict[str, Rows]:
    """The arrays of a checked system under deepmd-kit's names, frames of all sets in order.

    coord, spin, force, force_mag (F, N, 3), box, virial (F, 3, 3), energy (F,) and, if the layout is
    mixed, real_atom_types (F, N), all float64; absent what is not stored. Cells may be absent only where
    nothing is periodic, and are zero then.
    """
    arrays = {
        name: Rows([s.arrays[name] for s in stored.sets], shape_of(name, len(stored.types)))
        for name in (*ARRAYS, REAL_TYPES)
        if stored.has(name)
    }
    if "box" not in arrays:
        no_cell = np.broadcast_to(np.zeros(()), (len(arrays["coord"]), 3, 3))
        arrays["box"] = Rows([ArrayHeader.of(stored.where, no_cell)], (3, 3))
    return arrays


def read_arrays(stored: Stored) -> dict[str, np.ndarray]:
    """All of stored_arrays in memory. Raises InputError for an array that cannot be read."""
    return {name: rows[:] for name, rows in stored_arrays(stored).items()}


def _gone(start: int, stop: int) -> NoReturn:
    raise RuntimeError("the arrays have been read already")
