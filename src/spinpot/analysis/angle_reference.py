"""Reference energies against the rotation angle: from a table, or from frames with rotated moments."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms

from spinpot.core.errors import InputError, require
from spinpot.core.vectors import angles
from spinpot.data.systems import System, read_systems

KEY = "task.rotation.reference"
STRAY = 1.0  # degrees; larger deviations of the other moments are mentioned
ASTRAY = 30.0  # degrees; with larger deviations of the other moments, frames are no valid reference


@dataclass(frozen=True)
class Reference:
    """Reference points (M,): angles in degrees (0…360), E in eV, −dE/dθ in eV/rad if known."""

    name: str
    angle: np.ndarray
    energy: np.ndarray
    torque: np.ndarray | None = None
    remark: str = ""


def read_reference(source: str, atoms: Atoms, group: np.ndarray, axis: np.ndarray) -> Reference:
    """Read a csv with the columns angle (degrees) and energy (eV), or frames in any layout of training.

    Frames must have the atoms of `atoms` in the same order; their angle is the rotation of the moments of
    `group` about `axis`. Raises InputError if the reference cannot be used.
    """
    path = Path(source).expanduser()
    if not path.exists():
        raise InputError(f"{KEY}={source}: no such file or folder. Correct the path.")
    if path.suffix == ".csv":
        return _of_table(path)
    parts = [_of_system(system, atoms, group, axis) for system in read_systems([path])]
    torques = [part.torque for part in parts if part.torque is not None]
    return Reference(
        path.name,
        np.concatenate([part.angle for part in parts]),
        np.concatenate([part.energy for part in parts]),
        np.concatenate(torques) if len(torques) == len(parts) else None,
        " ".join(dict.fromkeys(part.remark for part in parts if part.remark)),
    )


def _of_table(path: Path) -> Reference:
    try:
        with path.open(newline="") as file:
            rows = [(float(row["angle"]), float(row["energy"])) for row in csv.DictReader(file)]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{KEY}={path}: cannot be read ({type(error).__name__}: {error}). Expected a table whose first "
            "line is `angle,energy`, in degrees and eV."
        ) from error
    finite = rows and np.isfinite(rows).all()
    require(finite, KEY, path, "at least one line, and finite numbers only. Correct it.")
    angle, energy = np.array(rows).T
    return Reference(path.name, angle % 360.0, energy)


def _of_system(system: System, atoms: Atoms, group: np.ndarray, axis: np.ndarray) -> Reference:
    if system.elements != atoms.get_chemical_symbols():
        raise InputError(
            f"{KEY}: {system.name} holds {system.n_atoms} atoms, which are not those of the structure in the "
            "same order. Expected frames of the same atoms."
        )
    if system.energy is None:
        raise InputError(f"{KEY}: {system.name} has no energies. Expected energy.npy.")
    start = np.array(atoms.get_initial_magnetic_moments(), dtype=np.float64)
    angle = turn_of(np.asarray(system.spin), start, group, axis)
    torque = None
    if system.force_mag is not None:
        torque = np.cross(system.spin, system.force_mag)[:, group].sum(axis=1) @ axis
    others = np.setdiff1d(np.flatnonzero(start.any(axis=1)), group)
    stray = np.degrees(angles(system.spin[:, others], start[others]).max(initial=0.0))
    if stray > ASTRAY:
        raise InputError(
            f"{KEY}: in {system.name}, other moments deviate by up to {stray:.0f}° from the structure. "
            "Expected frames in which only the rotated moments differ from it."
        )
    remark = "" if stray < STRAY else f"In {system.name} other moments deviate by up to {stray:.0f}°."
    return Reference(system.name, np.degrees(angle) % 360.0, np.asarray(system.energy), torque, remark)


def turn_of(spin: np.ndarray, start: np.ndarray, group: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """The angle (F,), rad, of the rotation about `axis` from `start` to the spins (F, N, 3) of the group."""
    flat = start[group] - (start[group] @ axis)[:, None] * axis
    sine = np.cross(flat, spin[:, group]).sum(axis=1) @ axis
    cosine = (flat * spin[:, group]).sum(axis=(1, 2))
    return np.asarray(np.arctan2(sine, cosine))
