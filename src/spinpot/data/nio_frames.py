"""The built-in data set: frames of NiO drawn at random, labelled by `spinpot.data.nio`.

Every frame is AFM-II NiO, its moments along a random direction of the easy plane, with displaced atoms, a
strained cell, and moments tilted and changed in length. The amplitudes differ from frame to frame, so that
the set covers the range from near the ground state to strong disorder.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from spinpot.core.console import counted
from spinpot.core.conventions import LABELS
from spinpot.core.errors import InputError
from spinpot.core.files import make_once
from spinpot.data import nio
from spinpot.data.cell import PERIODIC
from spinpot.data.npy_folder import write_npy
from spinpot.data.systems import System

VERSION = 1  # raise it with every change of the frames or their labels

SHAPES = {
    "primitive_16": ((1, 1, 0), (1, 0, 1), (0, 1, 1)),
    "rhombohedral_32": ((2, 1, 1), (1, 2, 1), (1, 1, 2)),
    "tetragonal_32": ((1, -1, 0), (1, 1, 0), (0, 0, 2)),
}
"""Lattice vectors in units of the lattice constant; the numbers in the names count the atoms."""

FRAMES = {
    "train": {"primitive_16": 140, "rhombohedral_32": 110, "tetragonal_32": 110},
    "validation": {"primitive_16": 16, "rhombohedral_32": 12, "tetragonal_32": 12},
    "test": {"primitive_16": 16, "rhombohedral_32": 12, "tetragonal_32": 12},
}

DISPLACEMENT = (0.02, 0.06)  # Å, range of the coordinates' standard deviation, drawn per frame
STRAIN = 0.01  # largest component of the (symmetric) strain

TILT = (3.0, 60.0)
"""Degrees. Each frame draws its largest tilt from this range; each moment draws a tilt up to that."""

STRETCH = 0.05  # largest relative change of a moment's length

MANIFEST = "manifest.json"

PARAMETERS = (
    *("LATTICE_CONSTANT", "CUTOFF", "DAMPING", "CHARGE", "NI_O_REPULSION", "O_O_BUCKINGHAM", "J1", "J2"),
    *("LEG_EXPONENT", "LEG_SWITCH", "DIPOLE_SWITCH", "MOMENT", "LANDAU_CURVATURE"),
)
"""The constants of `spinpot.data.nio` on which the labels depend."""


def prepare_nio(folder: Path, seed: int = 0) -> None:
    """Write the NiO set into `folder` as `<split>/<shape>` in deepmd npy layout, unless it is there already.

    The same seed gives the same files, bit for bit. The set is written beside `folder` and moved there when
    it is complete, so that `folder` never holds an incomplete set. Raises `InputError` if `folder` holds
    something else, such as a set of another seed, or cannot be written.
    """
    there, make = partial(_is_complete, seed=seed), lambda draft: _write(draft, seed)
    make_once(folder, there, make, "NiO")


def sample(shape: str, rng: np.random.Generator) -> nio.Structure:
    """One random frame, not yet labelled, in the cell `shape` of `SHAPES`."""
    in_plane = np.cross((1, 1, 1), rng.normal(size=3))
    perfect = nio.structure(SHAPES[shape], axis=in_plane)
    upper = np.triu(rng.uniform(-STRAIN, STRAIN, (3, 3)))
    deformation = np.eye(3) + upper + np.triu(upper, 1).T
    displacement = rng.normal(scale=rng.uniform(*DISPLACEMENT), size=perfect.coord.shape)
    return nio.Structure(
        types=perfect.types,
        box=perfect.box @ deformation.T,
        coord=perfect.coord @ deformation.T + displacement,
        spin=_disorder(perfect.spin, rng),
    )


def _disorder(spin: nio.Array, rng: np.random.Generator) -> nio.Array:
    """Each moment of `spin` (N, 3) tilted in a random direction and changed in length; zeros stay zero."""
    tilt = np.radians(rng.uniform(*TILT)) * rng.uniform(size=(len(spin), 1))
    stretch = 1 + rng.uniform(-STRETCH, STRETCH, (len(spin), 1))
    sideways = np.cross(spin, rng.normal(size=spin.shape))
    length = np.linalg.norm(sideways, axis=1, keepdims=True)
    sideways *= nio.MOMENT / np.where(length > 0, length, 1)
    return np.asarray(stretch * (np.cos(tilt) * spin + np.sin(tilt) * sideways))


def manifest(seed: int) -> dict[str, Any]:
    """The parameters of a set: stored in its folder, and compared before an existing set is used."""
    parameters = {name.lower(): getattr(nio, name) for name in PARAMETERS}
    described = {
        "about": "NiO labelled by the spin-lattice Hamiltonian of spinpot.data.nio",
        "version": VERSION,
        "seed": seed,
        "frames": FRAMES,
        "parameters": parameters,
    }
    return cast(dict[str, Any], json.loads(json.dumps(described)))


def _is_complete(folder: Path, seed: int) -> bool:
    """Whether `folder` holds the requested set. Raises `InputError` if it holds anything else."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    advice = f"Remove {folder}, and the set is made again; or give another paths.data_dir."
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder} is not a NiO data set made by this program: no readable {MANIFEST} ({error}). {advice}"
        ) from error
    for key, wanted in manifest(seed).items():
        if found.get(key) != wanted:
            values = "" if isinstance(wanted, dict) else f" ({found.get(key)}, not {wanted})"
            raise InputError(f"{folder} holds a NiO data set of another {key}{values}. {advice}")
    missing = [name for name in _systems() if not (folder / name / "type.raw").is_file()]
    if missing:
        raise InputError(f"{folder} lacks {', '.join(missing)}. {advice}")
    return True


def _systems() -> list[str]:
    return [f"{split}/{shape}" for split, shapes in FRAMES.items() for shape in shapes]


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread for torch: the arrays are small, and a fixed order of summation gives the same bits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@_one_thread()
def _write(folder: Path, seed: int) -> None:
    folder.mkdir()
    total = sum(sum(shapes.values()) for shapes in FRAMES.values())
    drawn = counted(_drawn(seed), "Making the NiO data set", total)
    for name, frames in groupby(drawn, key=itemgetter(0)):
        write_system([(frame, nio.labels(frame)) for _, frame in frames], folder / name)
    text = json.dumps(manifest(seed), indent=2) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def _drawn(seed: int) -> Iterator[tuple[str, nio.Structure]]:
    """Each frame of the set, not yet labelled, with its system's name."""
    for number, name in enumerate(_systems()):
        split, shape = name.split("/")
        rng = np.random.default_rng([seed, number])
        for _ in range(FRAMES[split][shape]):
            yield name, sample(shape, rng)


def write_system(frames: list[tuple[nio.Structure, dict[str, nio.Array]]], folder: Path) -> None:
    """Write frames of one shape and their labels (spinpot.data.nio.labels) as one system, in npy layout."""
    structure = ("box", "coord", "spin")
    arrays = {name: np.stack([getattr(frame, name) for frame, _ in frames]) for name in structure}
    arrays |= {name: np.stack([found[name] for _, found in frames]) for name in LABELS}
    types = frames[0][0].types
    write_npy(System(folder.name, folder, nio.TYPE_NAMES, types, pbc=PERIODIC, stored=None, **arrays), folder)
