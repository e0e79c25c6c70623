"""Frames of the built-in three-element alloy on the sites of a lattice."""

from pathlib import Path

import numpy as np

from spinpot.data.alloy import CUTOFF, ELEMENTS, HAMILTONIAN, MOMENTS
from spinpot.data.hamiltonian import labelled
from spinpot.data.systems import System
from support.folders import write_npy
from support.frames import system


def alloy(seed: int, n_frames: int) -> System:
    """Frames of one order of eight atoms, each element at least once, with the labels of the Hamiltonian."""
    rng = np.random.default_rng(seed)
    types = rng.permutation(np.r_[[0, 1, 2], rng.integers(0, 3, 5)])
    box = np.array([[4.9, 0.3, 0.0], [0.4, 4.9, -0.2], [-0.3, 0.5, 4.9]])
    sites = np.stack(np.meshgrid(*[(0.0, 0.5)] * 3), axis=-1).reshape(8, 3) @ box
    coord = sites + rng.uniform(-0.15, 0.15, (n_frames, 8, 3))
    length = np.array([*MOMENTS.values(), 0.0])[types] * rng.normal(1.0, 0.08, (n_frames, 8))
    spin = rng.normal(size=coord.shape)
    spin *= (length / np.linalg.norm(spin, axis=-1))[..., None]
    made = system(ELEMENTS, types, np.tile(box, (n_frames, 1, 1)), coord, spin, name=f"alloy{seed}")
    return labelled(made, HAMILTONIAN, CUTOFF)


def write_alloys(folder: Path) -> tuple[list[System], list[str]]:
    """The validation systems, and overrides that train on others; each is of another order."""
    training, validation = ([alloy(seed, 3) for seed in seeds] for seeds in (range(24), range(40, 46)))
    for made in training + validation:
        write_npy(folder / made.name, made)

    def listed(systems: list[System]) -> str:
        return f"[{','.join(str(folder / made.name) for made in systems)}]"

    data = ["data=npy", f"data.train={listed(training)}", f"data.validation={listed(validation)}"]
    return validation, data
