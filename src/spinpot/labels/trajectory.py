"""Configurations from the frames of a file, e.g. of a dynamics."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms

from spinpot.core.errors import InputError, require
from spinpot.core.files import read_object
from spinpot.core.notes import Notes
from spinpot.data.frame_checks import check_frames
from spinpot.data.readers.find import read_frames
from spinpot.data.readers.reader import Wanted
from spinpot.data.systems import System
from spinpot.labels.configuration import Configuration

if TYPE_CHECKING:
    from spinpot.labels.recipe import SystemRecipe

OWN = ("frames", "trajectory", "constrained", "hold")
"""Settings of a system with a trajectory; all others must keep their defaults."""
FILE = "trajectory"
"""Entry of Atoms.info: the file and its number of frames."""
TRAJECTORIES = "trajectories"


def trajectory_configurations(
    name: str, settings: SystemRecipe, unchanged: SystemRecipe, seed: int
) -> list[Configuration]:
    """Frames of `settings.trajectory`, drawn at random; a larger number keeps the first ones.

    unchanged: a system that leaves positions and moments as they are. Raises InputError for other settings,
    and for a file without one system of crystals with moments.
    """
    key = f"recipe.systems.{name}"
    for other, value in vars(settings).items():
        fine = other in OWN or value == getattr(unchanged, other)
        require(fine, f"{key}.{other}", value, "its default: the frames of a trajectory stay as they are.")
    system = read_trajectory(f"{key}.trajectory", str(settings.trajectory))
    expected = f"at most {len(system)}, the frames of {settings.trajectory}."
    require(0 <= settings.frames <= len(system), f"{key}.frames", settings.frames, expected)
    order = np.random.default_rng([seed, zlib.crc32(name.encode())]).permutation(len(system))
    file = {FILE: (settings.trajectory, len(system))}
    symbols = [system.type_map[kind] for kind in system.types]
    held = np.asarray((np.asarray(system.spin) != 0.0).any(axis=(0, 2)))
    if settings.constrained is not None:
        bare = [one for one in settings.constrained if not held[np.array(symbols) == one].any()]
        expected = f"elements with moments, without {' '.join(bare)}."
        require(not bare, f"{key}.constrained", settings.constrained, expected)
        held &= np.isin(symbols, settings.constrained)
    return [
        Configuration(
            name=f"{name}/{number:04d}",
            atoms=Atoms(symbols, positions=system.coord[frame], cell=system.box[frame], pbc=True, info=file),
            moments=np.array(system.spin[frame], dtype=np.float64),
            constrained=held,
            hold_lengths=settings.hold == "vector",
        )
        for number, frame in enumerate(order[: settings.frames].tolist())
    ]


def frames_in_files(made: Sequence[Configuration], stored: Path) -> dict[str, int]:
    """The number of frames in each file that configurations are drawn from.

    stored: the settings of the folder, with these numbers under `trajectories`. Raises InputError if a number
    differs, because other frames are then drawn.
    """
    found = dict(one.atoms.info[FILE] for one in made if FILE in one.atoms.info)
    then = read_object(stored).get(TRAJECTORIES, {})
    for file, number in found.items():
        if (before := then.get(file, number)) != number:
            raise InputError(
                f"{file} has changed: it had {before} frames when output={stored.parent} was started, and "
                f"has {number} now, so other frames would be drawn. Give a file with the first {before} "
                "frames under this name, or another folder with output=DIR. Copy a file that still grows "
                "before you label its frames."
            )
    return found


def read_trajectory(key: str, path: str) -> System:
    """The one system of a file, with its unit of moments. Raises InputError."""
    notes = Notes()
    try:
        systems = read_frames(Path(path).expanduser(), "auto", Wanted(), notes)
    except InputError as error:
        if "--" not in str(error):
            raise
        raise InputError(
            f"{error}\nThese are options of `spinpot prepare {path} FOLDER`: convert the file, and give "
            f"{key}=FOLDER."
        ) from error
    notes.print()
    if len(systems) != 1:
        names = ", ".join(system.name for system in systems)
        raise InputError(f"{key}={path}: holds {len(systems)} systems ({names}). Give a file with one.")
    (system,) = systems
    check_frames(system)
    if not all(system.pbc):
        raise InputError(f"{key}={path}: is not periodic in all three directions. Expected a crystal.")
    if not np.asarray(system.spin).any():
        raise InputError(f"{key}={path}: has no moments. Expected vectors in μ_B, e.g. a column spin:R:3.")
    return system
