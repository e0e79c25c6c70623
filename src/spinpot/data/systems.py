"""Reads folders of spin frames into checked `System`s with one type map. Shapes and units: core.conventions.

The layouts are deepmd-kit's npy (`set.*/coord.npy`), mixed (npy with `real_atom_types.npy`), raw
(`coord.raw`), HDF5 and LMDB. The files determine the layout; a folder that has both `set.*` and `coord.raw`
is read from its sets, as in deepmd-kit. A folder of systems stands for all systems below it.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np

from spinpot.core.console import counted
from spinpot.core.conventions import LABELS
from spinpot.core.errors import InputError
from spinpot.core.notes import Notes, shortened
from spinpot.core.shares import ALONE, Processes
from spinpot.data.cell import PERIODIC, Periodic, completed, directions
from spinpot.data.frame_checks import PER_FRAME, check_frames
from spinpot.data.readers.deepmd.checks import check_stored
from spinpot.data.readers.deepmd.contents import REAL_TYPES
from spinpot.data.readers.deepmd.find import find_stored
from spinpot.data.readers.deepmd.rows import CHUNK, Array, Rows, taken
from spinpot.data.readers.deepmd.stored import Stored, stored_arrays

SAMPLE = 5_000  # frames; larger sets stay on disk, and a sample of this size determines a model's statistics


@dataclass(frozen=True, eq=False)
class System:
    """Frames of one composition and atom order, float64; a label that was not stored is None.

    Arrays are in memory, or on disk and read when they are indexed.
    """

    name: str  # the folder's name; unique among the systems read together
    path: Path
    type_map: tuple[str, ...]  # that of the model, not of the folder
    types: np.ndarray  # (N,) int64, indices into type_map
    box: Array  # (F, 3, 3)
    coord: Array  # (F, N, 3)
    spin: Array  # (F, N, 3)
    energy: Array | None = None  # (F,)
    force: Array | None = None  # (F, N, 3)
    force_mag: Array | None = None  # (F, N, 3)
    virial: Array | None = None  # (F, 3, 3)
    pbc: Periodic = PERIODIC  # whether atoms repeat along each row of box; other rows have no meaning
    frame_ids: np.ndarray | None = None  # (F,) int64, number of each frame in `stored`, over all sets
    stored: Stored | None = None  # None for frames that were not read from disk
    numbers: np.ndarray | None = None  # (F,) int64, the frames' numbers in messages; None: 0, 1, …

    def __len__(self) -> int:
        return len(self.coord)

    @cached_property
    def cell(self) -> Array:
        """(F, 3, 3), Å, never singular: `box`, with unit normals in place of its non-periodic rows."""
        return self.box if all(self.pbc) else completed(np.asarray(self.box), self.pbc)

    @property
    def elements(self) -> list[str]:
        """The element of each atom."""
        return [self.type_map[kind] for kind in self.types]

    @property
    def n_atoms(self) -> int:
        """Number of atoms per frame."""
        return len(self.types)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the labels that the system has."""
        return tuple(name for name in LABELS if getattr(self, name) is not None)

    @property
    def in_memory(self) -> bool:
        """Whether the frames are in memory; these have been checked."""
        return not isinstance(self.coord, Rows)

    def number(self, frame: int) -> int:
        """The number of a frame in messages: its number before any frames were left out."""
        return frame if self.numbers is None else int(self.numbers[frame])

    def where(self, frame: int, array: str = "coord") -> str:
        """File and frame number on disk of a frame, for messages."""
        if self.stored is None or self.frame_ids is None:
            file = "" if self.path in (Path(), Path(self.name)) else f"{self.path}: "
            return f"{file}{self.name}, {array}, frame {self.number(frame)}"
        return self.stored.locate(array, int(self.frame_ids[frame]))


def select(system: System, frames: np.ndarray) -> System:
    """A new system of some frames, given by their numbers (n,)."""
    numbers = None if system.numbers is None else system.numbers[frames]
    return replace(part_of(system, frames), numbers=numbers, frame_ids=None, stored=None)


def part_of(system: System, frames: np.ndarray) -> System:
    """Some frames of a system, given by their numbers (n,). Messages name their files and old numbers."""
    arrays = ((name, getattr(system, name)) for name in (*PER_FRAME, "frame_ids"))
    chosen: dict[str, Any] = {name: taken(array, frames) for name, array in arrays if array is not None}
    return replace(system, **chosen, numbers=frames if system.numbers is None else system.numbers[frames])


def in_memory(system: System) -> System:
    """The system with all its arrays in memory."""
    arrays = ((name, getattr(system, name)) for name in PER_FRAME)
    read: dict[str, Any] = {name: array[:] for name, array in arrays if array is not None}
    return replace(system, **read, stored=system.stored and system.stored.bare())


def parts(system: System) -> Iterator[System]:
    """The system in memory: as a whole if it is in memory already, else CHUNK frames at a time."""
    if system.in_memory:
        yield system
        return
    for first in range(0, len(system), CHUNK):
        yield in_memory(part_of(system, np.arange(first, min(first + CHUNK, len(system)))))


def all_parts(systems: Sequence[System], title: str) -> Iterator[System]:
    """The parts of some systems, with a progress bar."""
    every = (part for system in systems for part in parts(system))
    return iter(counted(every, title, sum(map(n_parts, systems))))


def n_parts(system: System) -> int:
    """The number of parts of a system."""
    return 1 if system.in_memory else -(-len(system) // CHUNK)


def read_systems(
    paths: str | Path | Sequence[str | Path],
    type_map: Sequence[str] | None = None,
    non_magnetic: bool = False,
    notes: Notes | None = None,
    leave_out: Callable[[System], System] | None = None,
    at_once: int = SAMPLE,
    check: Callable[[System], System] | None = None,
    processes: Processes = ALONE,
) -> list[System]:
    """Read and check every system at `paths`: folders, folders of folders, HDF5 files, LMDB databases.

    A mixed folder gives one system per composition, named `folder#0`, `folder#1`, … in the order of first
    appearance. An LMDB database gives one per composition, named `folder#Ni2O2`.

    type_map: the elements' names; None takes those of all folders, in the order of first appearance. Types
    are mapped by name. A folder without `type_map.raw` needs type_map; its types are indices into it.
    non_magnetic: systems without spins are allowed, and get spins of zero.
    notes: receives lines on renamed or unused arrays, missing spins, non-periodic cells; None prints them.
    leave_out: removes frames of a system before they are checked. Systems without frames are dropped.
    at_once: sets with more frames stay on disk until the frames are used.
    check: checks a system in memory and returns its usable frames; systems on disk are then not checked here.
    None checks all frames, and any broken frame is an error.
    processes: those of the run; each opens a share of the folders.

    Raises InputError for everything that cannot be used, naming file, frame or atom.
    """
    paths = [paths] if isinstance(paths, str | Path) else list(paths)
    if not paths:
        raise InputError("No systems given. Expected at least one system folder. Add one to the list.")
    stored = find_stored(paths, processes)
    _refuse_repeats(stored)
    for one in stored:
        check_stored(one, type_map, non_magnetic)
    elements, own = _common_type_map(stored, type_map), Notes()
    for one, name in zip(stored, names := _unique_names(stored), strict=True):
        _note(notes if notes is not None else own, one, name)
    own.print()
    systems = [
        system
        for one, name in zip(stored, names, strict=True)
        for system in _opened(one, name, elements, leave_out)
    ]
    if sum(part.frames for one in stored for part in one.sets) <= at_once:
        systems = list(map(in_memory, systems))
    if check is not None:
        usable = (check(system) if system.in_memory else system for system in systems)
        return [system for system in usable if len(system)]
    for part in all_parts(systems, "Checking"):
        check_frames(part)
    return systems


def _note(notes: Notes, stored: Stored, name: str) -> None:
    """Add the lines on a system. Its arrays have not been read yet."""
    if not all(stored.pbc):
        notes.add(f"Periodic {directions(stored.pbc)} of the cell", name)
    if not stored.has("spin"):
        notes.add("No spins: taken as non-magnetic, with spins of zero", name)
    for line in stored.notes:
        notes.add(line, name)


# ---- names ----


def _refuse_repeats(stored: list[Stored]) -> None:
    seen, real = set(), lru_cache(os.path.realpath)  # realpath is slow: it visits every folder of a path
    for one in stored:
        folder, name = os.path.split(one.path)
        alone = name not in ("", "..") and not os.path.islink(one.path)
        place = (f"{real(folder)}/{name}" if alone else os.path.realpath(one.path), one.group)
        if place in seen:
            raise InputError(
                f"{one.where}: given twice (a folder of systems stands for all systems below it). Expected "
                "every system once. Remove one of the two."
            )
        seen.add(place)


def _unique_names(stored: list[Stored]) -> list[str]:
    """Folder names. Equal ones are lengthened by their parents' names: `a-data_0`, `b-data_0`."""
    shared = Counter(one.path for one in stored)  # several groups of one file
    parts = []
    for one in stored:
        *parents, last = os.path.abspath(one.path).split(os.sep)[1:]
        if one.layout in ("hdf5", "lmdb"):
            last = Path(last).stem
        if shared[one.path] > 1:
            last += "#" + one.group.replace("/", "-")
        parts.append((*parents, last))
    return _distinct_names(parts)


def _distinct_names(parts: Sequence[tuple[str, ...]]) -> list[str]:
    """The last part of each path; equal ones are lengthened by the parts before it."""
    names = [""] * len(parts)
    clashing, length = list(range(len(parts))), 0
    while clashing:
        length += 1
        ends = [parts[k][-length:] for k in clashing]
        counts = Counter(ends)
        for k, end in zip(clashing, ends, strict=True):
            names[k] = "-".join(end)
        clashing = [
            k for k, end in zip(clashing, ends, strict=True) if counts[end] > 1 and len(parts[k]) > length
        ]
    if len(set(names)) < len(names):
        raise InputError(f"Two systems would have the same name among {shortened(names)}. Rename a folder.")
    return names


def _common_type_map(stored: list[Stored], type_map: Sequence[str] | None) -> tuple[str, ...]:
    if type_map is not None:
        names = tuple(type_map)
        if isinstance(type_map, str) or not names or len(set(names)) < len(names):
            raise InputError(
                f"type_map: {type_map}. Expected a list with every element once, such as [Ni, O]. Correct it."
            )
        return names
    for one in stored:
        if one.names is None:
            raise InputError(
                f"{one.where}: type_map.raw is missing, so nothing says which elements the types "
                f"{sorted(set(one.types.tolist()))} of type.raw are. Write it (one element per line, in the "
                "order of the indices), or give the type map in the configuration."
            )
    return tuple(dict.fromkeys(name for one in stored for name in one.names or ()))


def _mapped(stored: Stored, types: np.ndarray, type_map: tuple[str, ...]) -> np.ndarray:
    """Stored type indices (…,) as indices into `type_map`; −1 (padding of the mixed layout) stays."""
    if stored.names == type_map and types.min() >= 0 and types.max() < len(type_map):
        return types
    names = stored.names if stored.names is not None else type_map
    source = "type_map.raw" if stored.names is not None else "the given type map (it has no type_map.raw)"
    used = np.unique(types[types >= 0])
    if used.size and used[-1] >= len(names):
        raise InputError(
            f"{stored.where}: type {used[-1]}, but {source} has {len(names)} names: {' '.join(names)}. "
            "Expected a name for every index from 0 on. Add the missing names; if there are more types than "
            "elements, the frames may be in the old layout, which must be converted first."
        )
    if unknown := [names[i] for i in used if names[i] not in type_map]:
        raise InputError(
            f"{stored.where}: holds {' '.join(unknown)} (its elements: {' '.join(names)}), which the given "
            f"type map lacks: {' '.join(type_map)}. Add the element to the type map, or leave the system "
            "out. The type map of a trained model is fixed: train a model with this element."
        )
    table = np.array([type_map.index(n) if n in type_map else -1 for n in names] + [-1])
    return np.asarray(table[types])


# ---- arrays ----


def _opened(
    stored: Stored,
    name: str,
    type_map: tuple[str, ...],
    leave_out: Callable[[System], System] | None = None,
) -> Iterator[System]:
    """The system of a folder; for the mixed layout, one for each composition. The arrays are not read yet."""
    arrays = stored_arrays(stored)
    rows, group_of_frame = stored.types[None], np.zeros(len(arrays["coord"]), dtype=np.int64)
    if stored.mixed:
        rows, group_of_frame = _compositions(stored, arrays.pop(REAL_TYPES)[:])
    for k, row in enumerate(rows):
        frame_ids = np.flatnonzero(group_of_frame == k)
        types = _mapped(stored, row, type_map)
        own = arrays
        if len(rows) > 1 or types.min() < 0:
            own = {
                name: every.take(frame_ids, None if name in ("box", "energy", "virial") else types >= 0)
                for name, every in arrays.items()
            }
        system = System(
            name=f"{name}#{k}" if len(rows) > 1 else name,
            path=stored.path,
            type_map=type_map,
            types=types[types >= 0],
            pbc=stored.pbc,
            frame_ids=frame_ids,
            stored=stored,
            **cast(dict[str, Any], own),
        )
        if leave_out is not None:
            system = leave_out(system)
        if len(system):
            yield system


def _compositions(stored: Stored, real_types: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rows (K, N) of real_types (F, N), in order of first appearance, and each frame's row (F,)."""
    wrong = np.argwhere((real_types < -1) | (real_types != np.floor(real_types)))
    if wrong.size:
        frame, atom = wrong[0]
        raise InputError(
            f"{stored.locate(REAL_TYPES, int(frame))}, atom {atom}: type {real_types[frame, atom]}. "
            "Expected indices into type_map.raw, or −1 for padding. Write the file again."
        )
    empty = np.flatnonzero((real_types < 0).all(axis=1))
    if empty.size:
        raise InputError(f"{stored.locate(REAL_TYPES, int(empty[0]))}: only padding, no atoms. Remove it.")
    rows, first, inverse = np.unique(real_types.astype(int), axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return rows[order], np.argsort(order)[inverse.ravel()]
