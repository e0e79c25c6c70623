"""Converts frames of other programs to Systems. Every column and key is either used or named in a note."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from spinpot.core.console import counted
from spinpot.core.conventions import LABELS, PER_ATOM, SHAPES
from spinpot.core.errors import InputError
from spinpot.core.notes import Notes
from spinpot.data.cell import Periodic, directions
from spinpot.data.frame_checks import check_cells
from spinpot.data.readers.deepmd.rows import Array, chunks
from spinpot.data.readers.gathered import gathered
from spinpot.data.readers.moments import check_lengths, find_moments
from spinpot.data.readers.names import OPTIONS, arrays_like, known, rank
from spinpot.data.readers.reader import Wanted
from spinpot.data.systems import System

ENERGY_AGREES = 1e-10
"""Two energies of one frame agree within 1e-5 eV + this × their size, or within float32 rounding."""
VECTORS_AGREE = 1e-4  # two arrays of one label agree within 1e-6 + this × the largest number
FREE_ENERGY = " Forces are the derivatives of free_energy, in ase's convention."


@dataclass(frozen=True)
class RawFrame:
    """One frame with all its numbers in a file.

    box: (3, 3), rows, Å; coord: (N, 3), Å; columns: per-atom numbers (N, …) by name; entries: numbers of the
    frame by name; both with the file's names.
    """

    symbols: tuple[str, ...]
    box: np.ndarray
    pbc: Periodic
    coord: np.ndarray
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    entries: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class _Chosen:
    """The arrays of a frame, the columns and keys used, and for messages each array's source."""

    arrays: dict[str, np.ndarray]
    used: set[str]
    sources: dict[str, str]


class _Kind(NamedTuple):
    """The properties that all frames of a system share."""

    symbols: tuple[str, ...]
    pbc: Periodic
    arrays: frozenset[str]


def systems_of(frames: Iterable[RawFrame], place: Path, wanted: Wanted, notes: Notes) -> list[System]:
    """One system per composition, periodicity and set of labels, in order of first appearance.

    Raises InputError for frames without moments, and if two sources of one label disagree.
    """
    said: dict[str, dict[str, int]] = {}
    stream = _by_kind(counted(frames, f"Reading {place.name}"), place, wanted, notes, said)
    groups = gathered(stream, str(place))
    if not groups:
        raise InputError(f"{place}: no frames in it. Check the file.")
    _check_sources(said, str(place))
    spins = (spin for arrays in groups.values() for (spin,) in chunks(arrays["spin"]))
    check_lengths(spins, str(place), wanted)
    _say_sources(said, str(place), notes)
    name, systems = folder_name(place) if place.is_dir() else place.stem, []
    for number, (kind, arrays) in enumerate(groups.items()):
        if not all(kind.pbc):
            notes.add(f"Periodic {directions(kind.pbc)} of the cell", str(place))
        own_name = f"{name}_{number}" if len(groups) > 1 else name
        systems.append(_made(own_name, place, kind, arrays, wanted))
    return systems


def _by_kind(
    frames: Iterable[RawFrame], place: Path, wanted: Wanted, notes: Notes, said: dict[str, dict[str, int]]
) -> Iterator[tuple[_Kind, dict[str, np.ndarray]]]:
    """The kind and arrays of each frame. said: gets the sources of each array, with their first frames."""
    for number, frame in enumerate(frames):
        chosen = _chosen(frame, f"{place}, frame {number}", wanted)
        _account(frame, chosen, str(place), wanted, notes)
        for array, source in chosen.sources.items():
            said.setdefault(array, {}).setdefault(source, number)
        symbols = tuple(wanted.rename.get(symbol, symbol) for symbol in frame.symbols)
        yield _Kind(symbols, frame.pbc, frozenset(chosen.arrays)), chosen.arrays


def folder_name(folder: Path) -> str:
    """The name of a folder, also for `.` and `..`."""
    return folder.name if folder.name not in ("", "..") else folder.resolve().name


def _chosen(frame: RawFrame, where: str, wanted: Wanted) -> _Chosen:
    moments = find_moments(frame.columns, len(frame.symbols), where, wanted)
    arrays = {"box": frame.box, "coord": frame.coord, "spin": moments.values}
    used, said = set(moments.names), {"spin": moments.source}
    for array in LABELS:
        if sources := _sources(array, frame, where, wanted):
            _check_agreement(array, sources, where, wanted)
            arrays[array] = next(iter(sources.values())).astype(np.float64)
            said[array] = ", ".join(sources)
            used |= set(sources)
    return _Chosen(arrays, used, said)


def _sources(array: str, frame: RawFrame, where: str, wanted: Wanted) -> dict[str, np.ndarray]:
    """{name: values} for each column or key that holds the array."""
    place = frame.columns if array in PER_ATOM else frame.entries
    shape = (len(frame.symbols),) * (array in PER_ATOM) + SHAPES[array]
    if given := wanted.columns.get(array):
        if given in frame.entries and known(given, "stress") and array == "virial":
            return {given: _virial(frame, given, where)}
        if given not in place:
            there = ", ".join(place) or "none"
            raise InputError(
                f"{wanted.option(OPTIONS[array], given)}: {where} has no such name. It has: {there}."
            )
        return {given: _shaped(place[given], shape, given, where)}
    names = sorted((name for name in place if known(name, array)), key=lambda name: rank(name, array))
    found = {name: _shaped(place[name], shape, name, where) for name in names}
    if array == "virial" and all(frame.pbc):
        found |= {name: _virial(frame, name, where) for name in frame.entries if known(name, "stress")}
    return found


def _virial(frame: RawFrame, name: str, where: str) -> np.ndarray:
    """Virial −V·stress, eV; stress in ase's sign: 3×3, or xx yy zz yz xz xy, eV/Å³."""
    stress = np.ravel(frame.entries[name])
    if stress.size == 6:
        stress = stress[[0, 5, 4, 5, 1, 3, 4, 3, 2]]
    volume = abs(np.linalg.det(frame.box))
    if volume == 0.0:
        raise InputError(
            f"{where}: {name} is a stress, and the cell {np.asarray(frame.box).tolist()} has no volume, so "
            "that no virial follows from it. Leave it out."
        )
    return np.asarray(-volume * _shaped(stress, (3, 3), name, where))


def _shaped(values: np.ndarray, shape: tuple[int, ...], name: str, where: str) -> np.ndarray:
    if values.size != np.prod(shape, dtype=int):
        raise InputError(
            f"{where}: {name} has the shape {values.shape}. Expected {shape or 'one number'}. Correct the "
            "file, or name another column or key."
        )
    return np.reshape(values if values.dtype.kind == "f" else values.astype(np.float64), shape)


def _check_agreement(array: str, sources: dict[str, np.ndarray], where: str, wanted: Wanted) -> None:
    (name, first), *others = sources.items()
    for other, values in others:
        apart = float(np.abs(values - first).max(initial=0.0))
        size = float(np.abs(first).max(initial=0.0))
        cut_off = max((np.finfo(kind).eps for kind in (first.dtype, values.dtype)), default=0.0)
        energy = 1e-5 + max(ENERGY_AGREES, float(cut_off)) * size
        allowed = energy if array == "energy" else 1e-6 + VECTORS_AGREE * size
        if not apart <= allowed:
            raise InputError(
                f"{where}: {name} and {other} are both read as {array}, but differ by up to {apart:.3g}. "
                f"Name the one to read: {wanted.option(OPTIONS[array], name)} or "
                f"{wanted.option(OPTIONS[array], other)}."
                + (FREE_ENERGY if "free_energy" in (name, other) else "")
            )


def _account(frame: RawFrame, chosen: _Chosen, where: str, wanted: Wanted, notes: Notes) -> None:
    """Add a note for each column and key that was not used."""
    for place, per_atom in ((frame.columns, True), (frame.entries, False)):
        for name, values in place.items():
            if name not in chosen.used:
                notes.add(unused(name, arrays_like(name, values, per_atom), wanted), where)


def unused(name: str, arrays: Sequence[str], wanted: Wanted) -> str:
    """The note on an unused column or key; arrays: the arrays it could be."""
    options = " or ".join(wanted.option(OPTIONS[array], name) for array in arrays)
    return f"{name}: not used" + (f"; to read it, give {options}" if options else "")


def _check_sources(said: dict[str, dict[str, int]], where: str) -> None:
    """Raise InputError for an array read from different columns in different frames."""
    for array, sources in said.items():
        if len(sources) > 1:
            (one, first), (other, second), *_ = sources.items()
            raise InputError(
                f"{where}: {array} would be read from {one} in frame {first}, and from {other} in frame "
                f"{second}. These may be different quantities: put the frames into files of their own."
            )


def _say_sources(said: dict[str, dict[str, int]], where: str, notes: Notes) -> None:
    """Note the source of the moments, and of each label whose column has another name."""
    for array, sources in said.items():
        if array == "spin" or not set(sources) <= {array, f"{array}s"}:
            notes.add(f"{array}: read from {next(iter(sources))}", where)


def _made(name: str, path: Path, kind: _Kind, arrays: Mapping[str, Array], wanted: Wanted) -> System:
    type_map = wanted.elements or tuple(dict.fromkeys(kind.symbols))
    check_known(kind.symbols, type_map, f"{path}: its elements")
    system = System(
        name=name,
        path=path,
        type_map=tuple(type_map),
        types=np.array([type_map.index(symbol) for symbol in kind.symbols]),
        pbc=kind.pbc,
        stored=None,
        **cast(dict[str, Any], arrays),
    )
    check_cells(system)
    return system


def check_known(names: Sequence[str], type_map: Sequence[str], what: str) -> None:
    """Raise InputError if a name is not in the type map."""
    unknown = sorted({name for name in names if name not in type_map})
    if unknown:
        raise InputError(
            f"{what}: {' '.join(unknown)} is not in {' '.join(type_map)}. Correct --elements or --magnetic."
        )
