"""Systems on disk: `Stored` has their files, shapes and types; stored_arrays gives their arrays.

folders, hdf5_files and lmdb_files implement the layouts; `checks` checks the headers before any array is
read.
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
    beside: tuple[str, ...] = ()  # notes on files beside the sets

    @property
    def where(self) -> str:
        """The place for messages: the folder, or `file.hdf5#group`."""
        return place(self.path, self.group)

    @property
    def notes(self) -> list[str]:
        """Notes on arrays that are read under another name or not used, each once."""
        return list(dict.fromkeys((*self.beside, *(note for s in self.sets for note in s.notes))))

    def bare(self) -> Self:
        """A copy without the functions that read the arrays; it can still name the place of a frame."""
        sets = [
            replace(s, arrays={name: replace(header, read=_gone) for name, header in s.arrays.items()})
            for s in self.sets
        ]
        return replace(self, sets=tuple(sets))

    @property
    def mixed(self) -> bool:
        """Whether each frame has its own atom types (deepmd-kit's mixed layout)."""
        return self.has(REAL_TYPES)

    def has(self, array: str) -> bool:
        """Whether any set holds `array` (`spin`, `virial`, …)."""
        return any(array in s.arrays for s in self.sets)

    def locate(self, array: str, frame: int) -> str:
        """File and frame number within the file, for messages; frame: counted over all sets."""
        for s in self.sets:
            if frame < s.frames:
                file = s.arrays[array].where if array in s.arrays else s.where
                return f"{file}, frame {frame}"
            frame -= s.frames
        raise IndexError(f"{self.where} has no frame {frame}")


def place(path: Path, group: str) -> str:
    """A file or folder and a group in it, for messages."""
    return f"{path}#{group}" if group else str(path)


def checked_types(types: np.ndarray, where: str) -> np.ndarray:
    """The types as int64 (N,). Raises InputError unless they are indices."""
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
    """The elements' names. Raises InputError if there are none, or a name is repeated."""
    if not names:
        raise InputError(f"{where}: empty. Expected the elements' names in the order of the type indices.")
    if len(set(names)) < len(names):
        raise InputError(
            f"{where}: the same name twice: {' '.join(names)}. Types are told apart by name: use distinct "
            "names, or give these atoms one type."
        )
    return tuple(names)


PBC = "pbc.raw"
"""spinpot's own file: three numbers, 1 for each periodic lattice vector, else 0."""


def checked_pbc(nopbc: bool, numbers: list[str] | None, where: str) -> Periodic:
    """Periodicity from deepmd-kit's mark `nopbc` and the numbers in PBC, if any. Raises InputError."""
    if numbers is None:
        return CLUSTER if nopbc else PERIODIC
    if len(numbers) != 3 or not set(numbers) <= {"0", "1"}:
        raise InputError(
            f"{where}: {' '.join(numbers)}. Expected three numbers, 1 for each periodic lattice vector "
            "and 0 for others, e.g. 1 1 0. Correct it."
        )
    a, b, c = (number == "1" for number in numbers)
    if nopbc and (a or b or c):
        raise InputError(
            f"{where}: {' '.join(numbers)}, but the file nopbc beside it means that nothing is periodic. "
            "Remove one of the two."
        )
    return a, b, c


def about(name: str) -> bool:
    """Whether a file of this name describes the frames: types, names, periodicity."""
    return name in ("type.raw", "type_map.raw", PBC)


def shape_of(array: str, n_atoms: int) -> tuple[int, ...]:
    """The shape of an array of one frame."""
    shapes = {"box": (3, 3), "virial": (3, 3), "energy": (), REAL_TYPES: (n_atoms,)}
    return shapes.get(array, (n_atoms, 3))


def stored_arrays(stored: Stored) -> dict[str, Rows]:
    """The arrays of a checked system under deepmd-kit's names, frames of all sets in order.

    coord, spin, force, force_mag (F, N, 3), box, virial (F, 3, 3), energy (F,) and, if the layout is
    mixed, real_atom_types (F, N), all float64. Arrays that are not stored are left out, except two that are
    then zero: box, which is missing only if nothing is periodic, and spin, of frames that are not magnetic.
    """
    arrays = {
        name: Rows([s.arrays[name] for s in stored.sets], shape_of(name, len(stored.types)))
        for name in (*ARRAYS, REAL_TYPES)
        if stored.has(name)
    }
    frames, n_atoms = len(arrays["coord"]), len(stored.types)
    for name in {"box", "spin"} - arrays.keys():
        zeros = np.broadcast_to(0.0, (frames, *shape_of(name, n_atoms)))
        arrays[name] = Rows([ArrayHeader.of(stored.where, zeros)], zeros.shape[1:])
    return arrays


def read_arrays(stored: Stored) -> dict[str, np.ndarray]:
    """stored_arrays, read into memory. Raises InputError for an array that cannot be read."""
    return {name: rows[:] for name, rows in stored_arrays(stored).items()}


def _gone(start: int, stop: int) -> NoReturn:
    raise RuntimeError("the arrays have been read already")
