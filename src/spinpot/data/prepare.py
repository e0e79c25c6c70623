"""Converts frames of any format to training folders: splits, removes duplicates, checks, prints a table."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms

from spinpot.core.console import counted, print_line
from spinpot.core.errors import InputError
from spinpot.core.files import one_at_a_time, reason
from spinpot.core.notes import Notes
from spinpot.core.quantities import OF_LABEL
from spinpot.data.cell import VACUUM, directions
from spinpot.data.description import describe_system
from spinpot.data.duplicates import copies, left_out, without
from spinpot.data.frame_checks import check_frames
from spinpot.data.from_ase import atoms_of, with_columns
from spinpot.data.lammps_files import write_data
from spinpot.data.npy_folder import write_npy
from spinpot.data.readers.deepmd.rows import chunks
from spinpot.data.readers.deepmd.stored import PBC
from spinpot.data.readers.find import read_frames
from spinpot.data.readers.frames import check_known
from spinpot.data.readers.reader import Wanted
from spinpot.data.systems import System, all_parts, n_parts, read_systems, select
from spinpot.report.systems_table import print_systems

SETS = ("train", "validation", "test")

Splits = dict[str, list[System]]


def prepare(
    inputs: Sequence[Path],
    output: Path,
    wanted: Wanted,
    read_as: str = "auto",
    write_as: str = "npy",
    split: Sequence[float] | None = None,
    block: int = 1,
    seed: int = 0,
    float32: bool = False,
) -> Splits:
    """Read, split and write frames; returns the systems of each set, under "" without a split.

    split: the shares of SETS, e.g. (0.8, 0.1, 0.1). block: number of consecutive frames that stay in one set;
    1 splits frame by frame. Consecutive frames of a trajectory are alike, so that the errors on a split by
    single frames are too small. float32: write per-atom arrays in float32 (npy only).

    Raises InputError, before anything is written, for unusable inputs and an existing output.
    """
    _refuse_existing(output)
    if repeated := [name for name, count in Counter(wanted.elements).items() if count > 1]:
        raise InputError(f"--elements: {' '.join(repeated)} is given twice. Expected each element once.")
    steps = counted(inputs, "Reading")
    notes = Notes()
    try:
        systems = [system for path in steps for system in read_frames(path, read_as, wanted, notes)]
    finally:
        notes.print()
    unchecked = [system for system in systems if system.stored is None]  # read_systems has checked the others
    for part in all_parts(unchecked, "Checking"):
        check_frames(part)
    systems = unique_names(systems)
    again = copies(systems)
    systems, notes = without(systems, again), left_out(systems, again)
    sets = divided(systems, split, block, seed) if split else {"": systems}
    place = output.absolute().parent / f".{output.name}.new"
    try:
        with one_at_a_time(output.absolute()):
            _refuse_existing(output)  # another process may have made it in the meantime
            try:
                changed = _write(place, sets, write_as, wanted, float32)
                if write_as == "npy":
                    _check(place, output)
                place.rename(output)
            finally:
                shutil.rmtree(place, ignore_errors=True)
    except OSError as error:
        raise InputError(
            f"{output}: cannot be written: {reason(error)}. Make room there, or give another folder."
        ) from error
    print_systems("Prepared", {name: list(map(describe_system, found)) for name, found in sets.items()})
    if changed:
        notes.add(_rounded(changed))
    for system in systems:
        for line in (*_open(system, write_as), *not_written(system, write_as, wanted)):
            notes.add(line, system.name)
    notes.print()
    print_line(f"Written: {output}")
    return sets


def not_written(system: System, write_as: str, wanted: Wanted) -> Iterator[str]:
    """Lines on the data of a system that the format cannot hold."""
    if write_as == "lammps" and system.labels:
        yield f"LAMMPS data files have no labels: {', '.join(system.labels)} not written"
    if write_as == "old":
        for kind, element in enumerate(system.type_map):
            own = system.types == kind
            if element in wanted.magnetic or not own.any():
                continue
            lost = [array for array in (system.spin, system.force_mag) if array is not None]
            if any(values[:, own].any() for array in lost for (values,) in chunks(array)):
                yield f"moments and magnetic forces of {element}: not written, it is not in --magnetic"


def unique_names(systems: Sequence[System]) -> list[System]:
    """The systems, with numbers appended to names that occur twice."""
    seen: dict[str, int] = {}
    named = []
    for system in systems:
        count = seen[system.name] = seen.get(system.name, -1) + 1
        named.append(replace(system, name=f"{system.name}_{count}") if count else system)
    return named


def divided(systems: Sequence[System], split: Sequence[float], block: int, seed: int) -> Splits:
    """Split the frames of every system into train, validation and test, by blocks of consecutive frames.

    Raises InputError if the shares are invalid, or if training or validation would be empty.
    """
    if not 2 <= len(split) <= len(SETS) or min(split) < 0.0 or not abs(sum(split) - 1.0) <= 1e-9:
        raise InputError(
            f"--split {list(split)}: expected two or three shares that add up to 1, e.g. 0.8 0.1 0.1."
        )
    if block < 1:
        raise InputError(f"--block {block}: expected a number of frames >= 1.")
    rng = np.random.default_rng(seed)
    sets: Splits = {name: [] for name, share in zip(SETS, split, strict=False) if share}
    bounds = np.cumsum(split)
    for system in systems:
        blocks = -(-len(system) // block)
        order = rng.permutation(blocks)
        ends = np.rint(bounds * blocks).astype(int)
        for name, first, last in zip(SETS, [0, *ends], ends, strict=False):
            frames = (block * np.sort(order[first:last])[:, None] + np.arange(block)).ravel()
            if len(frames):
                sets.setdefault(name, []).append(select(system, frames[frames < len(system)]))
    for name, own in sets.items():
        if not own:
            raise InputError(
                f"--split {list(split)}: {name} would be empty: there are too few blocks of {block} frames. "
                "Use smaller blocks, or other shares."
            )
    return sets


def write_old(folder: Path, system: System, given: Iterable[System], wanted: Wanted) -> None:
    """deepmd-kit's old layout: virtual atoms at the end, their magnetic forces among the forces."""
    if not wanted.magnetic or not wanted.virtual_scale:
        raise InputError("The old layout needs --magnetic and --virtual-len with --spin-norm. Give them.")
    check_known(wanted.magnetic, system.type_map, "--magnetic")
    if (system.force is None) != (system.force_mag is None):
        raise InputError(
            f"{system.name}: the old layout needs both forces and magnetic forces, or neither, and here one "
            "is missing. Write npy instead."
        )
    owner = np.concatenate(
        [np.flatnonzero(system.types == system.type_map.index(name)) for name in wanted.magnetic]
    )
    kinds = [len(system.type_map) + wanted.magnetic.index(system.type_map[t]) for t in system.types[owner]]
    types = np.concatenate((system.types, kinds)).astype(np.int64)
    old = (_with_virtual_atoms(part, owner, wanted.virtual_scale) for part in given)
    write_npy(replace(system, types=types), folder / system.name, old)
    (folder / system.name / "set.000" / "spin.npy").unlink()


def _with_virtual_atoms(part: System, owner: np.ndarray, scale: float) -> System:
    virtual, force = part.coord[:, owner] + scale * part.spin[:, owner], None
    if part.force is not None and part.force_mag is not None:
        force = np.concatenate((part.force, part.force_mag[:, owner]), axis=1)
    return replace(part, coord=np.concatenate((part.coord, virtual), axis=1), force=force, force_mag=None)


def write_extxyz(folder: Path, system: System, given: Iterable[System], _: Wanted) -> None:
    """Extended XYZ with the columns spin, forces and mforce; energy and virial in the comment line."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in given:
        frames = [_atoms(part, frame) for frame in range(len(part))]
        ase.io.write(folder / f"{system.name}.xyz", frames, format="extxyz", append=True)


def write_lammps(folder: Path, system: System, given: Iterable[System], wanted: Wanted) -> None:
    """One LAMMPS data file per frame, rotated as LAMMPS requires."""
    (folder / system.name).mkdir(parents=True)
    frames = (atoms_of(part, frame) for part in given for frame in range(len(part)))
    for number, atoms in enumerate(frames):
        file = folder / system.name / f"frame_{number:05d}.data"
        write_data(file, atoms, wanted.elements or system.type_map)


WRITERS: dict[str, Callable[[Path, System, Iterable[System], Wanted], None]] = {
    "old": write_old,
    "extxyz": write_extxyz,
    "lammps": write_lammps,
}


def _atoms(system: System, frame: int) -> Atoms:
    labels = {name: getattr(system, name)[frame] for name in system.labels}
    return with_columns(atoms_of(system, frame), **labels)


def _refuse_existing(output: Path) -> None:
    if output.exists():
        raise InputError(f"{output} is there already, and nothing is overwritten. Give another folder.")


def _write(place: Path, sets: Splits, write_as: str, wanted: Wanted, float32: bool) -> dict[str, float]:
    """Write all sets. Returns the largest change that float32 makes, by array."""
    shutil.rmtree(place, ignore_errors=True)  # a killed process may have left it
    changed: dict[str, float] = {}
    for name, own in sets.items():
        every = all_parts(own, f"Writing {name}")
        for system in own:
            given = islice(every, n_parts(system))
            if write_as != "npy":
                WRITERS[write_as](place / name, system, given, wanted)
                continue
            for array, most in write_npy(system, place / name / system.name, given, float32).items():
                changed[array] = max(changed.get(array, 0.0), most)
    return changed


def _rounded(changed: dict[str, float]) -> str:
    """A line on the rounding errors of float32."""
    if not any(changed.values()):
        return "float32: no number has changed."
    units = {"coord": "Å", "spin": "μ_B"} | {name: own.unit for name, own in OF_LABEL.items()}
    most = ", ".join(f"{name} by up to {value:.1g} {units[name]}" for name, value in changed.items())
    return f"float32 rounds {most}; energies, cells and virials are float64."


def _check(place: Path, output: Path) -> None:
    """Read the written folders as training will."""
    try:
        read_systems([place], notes=Notes())  # discarded: the same lines were printed for the input
    except InputError as error:
        raise InputError(str(error).replace(str(place), str(output)) + " Nothing was written.") from None


def _open(system: System, write_as: str) -> Iterator[str]:
    """A line on how the format marks frames that are not periodic along all lattice vectors."""
    if write_as in ("npy", "old") and not all(system.pbc):
        said = "marked by the file nopbc, as in deepmd-kit"
        if any(system.pbc):
            said = (
                f"marked by {PBC}, which deepmd-kit does not read; for deepmd-kit, box.npy has {VACUUM:g} Å "
                "of vacuum along the other directions"
            )
        yield f"Periodic {directions(system.pbc)} of the cell: {said}"
