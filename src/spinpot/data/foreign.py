"""Frames of other programs as Systems: extxyz, ABACUS, LAMMPS dumps, deepmd-kit's old layout."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import ase.io
import dpdata
import numpy as np
from ase import Atoms

from spinpot.data.dpdata_reader import register
from spinpot.data.systems import System, read_systems
from spinpot.errors import InputError

SPINS = ("spin", "spins", "magmoms", "initial_magmoms")
MAGNETIC_FORCES = ("mforce", "force_mag", "force_mags", "magnetic_forces")
DPDATA = {
    "box": "cells",
    "coord": "coords",
    "spin": "spins",
    "energy": "energies",
    "force": "forces",
    "force_mag": "force_mags",
    "virial": "virials",
}


@dataclass(frozen=True)
class Source:
    """What a reader needs beside the path.

    elements: of the types of formats that have only numbers. magnetic: those with virtual atoms in the old
    layout; virtual_scale: their distance over the moment, Å/μ_B.
    """

    elements: tuple[str, ...] = ()
    magnetic: tuple[str, ...] = ()
    virtual_scale: float | None = None


def read_foreign(path: Path, kind: str, source: Source) -> list[System]:
    """The systems at a path; kind: one of READERS, or `auto`. Raises InputError for what cannot be read."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder. Correct the path.")
    kind = guess(path) if kind == "auto" else kind
    try:
        return READERS[kind](path, source)
    except InputError:
        raise
    except Exception as error:  # whatever a reader of ase or dpdata stumbles over
        raise InputError(
            f"{path}: could not be read as {kind} ({type(error).__name__}: {error}). Check the file, or name "
            f"another format: --format {' or '.join(READERS)}."
        ) from error


def guess(path: Path) -> str:
    """The format of a path, by its files and its name."""
    if path.is_dir():
        return "abacus" if (path / "INPUT").is_file() else "npy"
    return "extxyz" if path.suffix in (".xyz", ".extxyz") else "lammps" if "dump" in path.name else "npy"


def read_npy(path: Path, source: Source) -> list[System]:
    """Any layout that training reads."""
    return read_systems([path], source.elements or None, require_spin=False)


def read_extxyz(path: Path, source: Source) -> list[System]:
    """Extended XYZ with columns `spin:R:3` and `mforce:R:3`, or other names for them."""
    frames = ase.io.read(path, index=":", format="extxyz")
    # Frames with other labels are a system of their own, so that none loses any.
    groups: dict[tuple[tuple[str, ...], frozenset[str]], list[dict[str, np.ndarray]]] = {}
    for atoms in frames:
        arrays = _arrays(atoms, path)
        groups.setdefault((tuple(atoms.get_chemical_symbols()), frozenset(arrays)), []).append(arrays)
    return [
        made(_name(path, number, len(groups)), path, symbols, group, source)
        for number, ((symbols, _), group) in enumerate(groups.items())
    ]


def read_abacus(path: Path, source: Source) -> list[System]:
    """A folder in which ABACUS ran: INPUT, STRU, OUT.*; scf, md and relax."""
    words = (line.split() for line in (path / "INPUT").read_text().splitlines())
    kinds = {line[0].lower(): line[1].lower() for line in words if len(line) > 1}
    kind = {"cell-relax": "relax"}.get(kinds.get("calculation", "scf"), kinds.get("calculation", "scf"))
    register()
    data = dpdata.LabeledSystem(str(path), fmt=f"abacus/{kind}").data
    return [_from_dpdata(path, data, source)]


def read_lammps(path: Path, source: Source) -> list[System]:
    """A dump with the columns x y z and sp spx spy spz, or those of a compute property/atom of these four."""
    if not source.elements:
        raise InputError(f"{path}: a dump has no elements, only types. Name them: --elements Ni O.")
    register()
    with tempfile.TemporaryDirectory() as folder:
        # dpdata knows the columns of spins from the input file only, and by the names of a compute only.
        dump, script = Path(folder) / "dump", Path(folder) / "in"
        dump.write_text(
            re.sub(r"\bsp spx spy spz\b", "c_spin[1] c_spin[2] c_spin[3] c_spin[4]", path.read_text())
        )
        compute = re.search(r"^ITEM: ATOMS .*\bc_(\w+)\[1\]", dump.read_text(), re.M)
        script.write_text(f"compute {compute[1] if compute else 'spin'} all property/atom sp spx spy spz\n")
        data = dpdata.System(
            str(dump), fmt="lammps/dump", type_map=list(source.elements), input_file=str(script)
        ).data
    return [_from_dpdata(path, data, source)]


def read_old(path: Path, source: Source) -> list[System]:
    """deepmd-kit's layout for TensorFlow: the last atoms are virtual, at R + η S, with −∂E/∂S as force."""
    names = source.elements
    if (path / "type_map.raw").is_file():
        names = tuple((path / "type_map.raw").read_text().split())[: len(names) or None]
    if not names or not source.magnetic or not source.virtual_scale:
        raise InputError(
            f"{path}: the old layout does not say which atoms are virtual, nor how far away. Give "
            "--elements, --magnetic and --virtual-len with --spin-norm, e.g. --elements Ni O --magnetic Ni."
        )
    check_known(source.magnetic, names, "--magnetic")
    types = np.loadtxt(path / "type.raw", dtype=np.int64, ndmin=1)
    real = np.flatnonzero(types < len(names))
    owner = np.concatenate([np.flatnonzero(types == names.index(name)) for name in source.magnetic])
    if len(types) != len(real) + len(owner) or not np.array_equal(real, np.arange(len(real))):
        raise InputError(
            f"{path}: type.raw has {len(types) - len(real)} virtual atoms behind {len(real)} real ones; "
            f"expected {len(owner)}, one for each {' and '.join(source.magnetic)}. Correct --elements or "
            "--magnetic."
        )
    arrays: dict[str, np.ndarray] = {}
    for name in ("box", "coord", "force", "energy", "virial"):
        files = sorted(path.glob(f"set.*/{name}.npy"))
        if files:
            arrays[name] = np.concatenate([np.load(file, allow_pickle=False) for file in files]).astype(float)
    return [_without_virtual(path, names, types[real], owner, arrays, source.virtual_scale)]


LONGEST_ARM = 1.5
"""Å, of a virtual atom from its own; more is another atom's."""

READERS: dict[str, Callable[[Path, Source], list[System]]] = {
    "npy": read_npy,
    "old": read_old,
    "extxyz": read_extxyz,
    "abacus": read_abacus,
    "lammps": read_lammps,
}


def _without_virtual(
    path: Path,
    names: tuple[str, ...],
    types: np.ndarray,
    owner: np.ndarray,
    arrays: dict[str, np.ndarray],
    scale: float,
) -> System:
    n, frames = len(types), len(arrays["coord"])
    box = arrays["box"].reshape(-1, 3, 3)
    every = {name: arrays[name].reshape(frames, -1, 3) for name in ("coord", "force") if name in arrays}
    arm = every["coord"][:, n:] - every["coord"][:, owner]
    arm -= np.round(arm @ np.linalg.inv(box)) @ box  # virtual atoms may have been wrapped into the cell
    longest = float(np.linalg.norm(arm, axis=-1).max(initial=0.0))
    if longest > LONGEST_ARM:
        raise InputError(
            f"{path}: a virtual atom lies {longest:.2f} Å from the atom that --magnetic gives it; usual are "
            "0.2 to 0.6 Å. Name the elements that really are magnetic, in the order of their virtual types."
        )
    spin, force_mag = np.zeros((2, frames, n, 3))
    spin[:, owner] = arm / scale
    if "force" in every:
        force_mag[:, owner] = every["force"][:, n:]
    return System(
        name=path.name,
        path=path,
        type_map=names,
        types=types,
        box=box,
        coord=every["coord"][:, :n],
        spin=spin,
        energy=arrays["energy"].reshape(-1) if "energy" in arrays else None,
        force=every["force"][:, :n] if "force" in every else None,
        force_mag=force_mag if "force" in every else None,
        virial=arrays["virial"].reshape(-1, 3, 3) if "virial" in arrays else None,
    )


def _name(path: Path, number: int, of: int) -> str:
    return f"{path.stem}_{number}" if of > 1 else path.stem


def _arrays(atoms: Atoms, path: Path) -> dict[str, np.ndarray]:
    """One frame of extxyz; a label that is not there is absent."""
    found: dict[str, np.ndarray] = {"box": atoms.cell.array, "coord": atoms.positions}
    calculated = atoms.calc.results if atoms.calc is not None else {}
    spin = next((atoms.arrays[name] for name in SPINS if name in atoms.arrays), calculated.get("magmoms"))
    if spin is None or spin.shape != (len(atoms), 3):
        raise InputError(
            f"{path}: no spins. Expected a column spin:R:3 (μ_B), or one of {', '.join(SPINS[1:])}."
        )
    found["spin"] = spin
    for name in MAGNETIC_FORCES:
        if name in atoms.arrays:
            found["force_mag"] = atoms.arrays[name]
    if "energy" in calculated:
        found["energy"] = np.array(calculated["energy"])
    if "forces" in calculated:
        found["force"] = calculated["forces"]
    if "virial" in atoms.info:
        found["virial"] = np.reshape(atoms.info["virial"], (3, 3))
    elif "stress" in calculated:
        found["virial"] = -atoms.get_volume() * atoms.get_stress(voigt=False)
    return found


def check_known(names: Sequence[str], type_map: Sequence[str], what: str) -> None:
    """Raise InputError where a name is none of the elements."""
    unknown = sorted({name for name in names if name not in type_map})
    if unknown:
        raise InputError(
            f"{what}: {' '.join(unknown)} is none of {' '.join(type_map)}. Correct --elements or --magnetic."
        )


def made(
    name: str,
    path: Path,
    symbols: Sequence[str],
    frames: Sequence[dict[str, np.ndarray]],
    source: Source,
) -> System:
    """Frames of one composition; labels that not all of them have are left out."""
    type_map = source.elements or tuple(dict.fromkeys(symbols))
    common = set.intersection(*(set(frame) for frame in frames))
    arrays = {key: np.array([frame[key] for frame in frames], dtype=np.float64) for key in common}
    check_known(symbols, type_map, f"{path}: its elements")
    types = np.array([type_map.index(symbol) for symbol in symbols])
    return System(
        name=name,
        path=path,
        type_map=tuple(type_map),
        types=types,
        box=arrays["box"],
        coord=arrays["coord"],
        spin=arrays["spin"],
        energy=arrays.get("energy"),
        force=arrays.get("force"),
        force_mag=arrays.get("force_mag"),
        virial=arrays.get("virial"),
    )


def _from_dpdata(path: Path, data: dict[str, np.ndarray], source: Source) -> System:
    if "spins" not in data:
        raise InputError(
            f"{path}: no spins in it. Expected a calculation with moments (noncollinear), or sp spx…"
        )
    symbols = [data["atom_names"][t] for t in data["atom_types"]]
    names = [key for key, theirs in DPDATA.items() if theirs in data and len(data[theirs])]
    frames = [{key: data[DPDATA[key]][k] for key in names} for k in range(len(data["coords"]))]
    return made(path.stem, path, symbols, frames, source)
