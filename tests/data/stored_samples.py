"""Small systems on disk in every layout, and ways to damage them, for the tests of readers."""

from collections.abc import Callable, Sequence
from pathlib import Path

import dpdata
import h5py
import numpy as np

from spinpot.data.systems import System

Arrays = dict[str, np.ndarray]
LABELS = ("energy", "force", "force_mag", "virial")
TYPES = [0, 0, 1, 1]
"""Two Ni and two O; distinct counts would hide a wrong guess about magnetic atoms."""


def frames(n_frames: int = 3, types: Sequence[int] = TYPES, seed: int = 1) -> Arrays:
    """Random frames in deepmd-kit's names and flat shapes; the cell is neither orthogonal nor triangular."""
    rng = np.random.default_rng(seed)
    n = len(types)
    cell = np.array([[0.2, 4.1, 0.3], [3.9, 0.4, -0.2], [0.1, 0.5, 4.3]])
    grid = np.array([[i % 2, i // 2 % 2, i // 4] for i in range(n)]) / [2, 2, max(1, (n + 3) // 4)]
    coord = grid @ cell + rng.normal(0, 0.05, (n_frames, n, 3))
    return {
        "box": np.tile(cell.ravel(), (n_frames, 1)),
        "coord": coord.reshape(n_frames, -1),
        "spin": rng.normal(size=(n_frames, 3 * n)),
        "energy": rng.normal(size=n_frames),
        "force": rng.normal(size=(n_frames, 3 * n)),
        "force_mag": rng.normal(size=(n_frames, 3 * n)),
        "virial": rng.normal(size=(n_frames, 9)),
    }


def write_npy(
    folder: Path,
    *sets: Arrays,
    types: Sequence[int] = TYPES,
    names: str | None = "Ni O",
) -> Path:
    folder.mkdir(parents=True)
    (folder / "type.raw").write_text("\n".join(map(str, types)))
    if names is not None:
        (folder / "type_map.raw").write_text("\n".join(names.split()))
    for k, arrays in enumerate(sets or (frames(),)):
        place = folder / f"set.{k:03d}"
        place.mkdir()
        for name, array in arrays.items():
            np.save(place / f"{name}.npy", array)
    return folder


def write_raw(folder: Path, arrays: Arrays) -> Path:
    folder.mkdir()
    np.savetxt(folder / "type.raw", TYPES, fmt="%d")
    (folder / "type_map.raw").write_text("Ni\nO\n")
    for name, array in arrays.items():
        np.savetxt(folder / f"{name}.raw", array)
    return folder


def write_hdf5(
    group: h5py.Group, *sets: Arrays, types: Sequence[int] = TYPES, names: str | None = "Ni O"
) -> None:
    group["type.raw"] = np.array(types)
    if names is not None:
        group["type_map.raw"] = np.array(names.split(), dtype="S")
    for k, arrays in enumerate(sets):
        for name, array in arrays.items():
            group[f"set.{k:03d}/{name}.npy"] = array


def change(folder: Path, array: str, edit: Callable[[np.ndarray], np.ndarray], part: str = "set.000") -> None:
    file = folder / part / f"{array}.npy"
    np.save(file, edit(np.load(file)))


def put(index: tuple[int, ...], value: float) -> Callable[[np.ndarray], np.ndarray]:
    def edit(array: np.ndarray) -> np.ndarray:
        array[index] = value
        return array

    return edit


def assert_holds(system: System, arrays: Arrays) -> None:
    """Bit for bit: nothing rotated, wrapped or reordered."""
    for name, array in arrays.items():
        values = getattr(system, name)
        assert values.dtype == np.float64
        np.testing.assert_array_equal(values.reshape(array.shape), array, err_msg=name)


def labeled(data: Arrays, types: Sequence[int], names: list[str]) -> dpdata.LabeledSystem:
    """The frames as dpdata holds them, spins included."""
    dpdata.plugins.deepmd.register_spin()
    f, n = len(data["energy"]), len(types)
    theirs = {"spin": "spins", "force": "forces", "force_mag": "force_mags", "coord": "coords"}
    arrays = {theirs[k]: data[k].reshape(f, n, 3) for k in theirs}
    counts = [list(types).count(t) for t in range(len(names))]
    return dpdata.LabeledSystem(
        data={
            "atom_names": names,
            "atom_numbs": counts,
            "atom_types": np.array(types),
            "orig": np.zeros(3),
            "cells": data["box"].reshape(f, 3, 3),
            "energies": data["energy"],
            "virials": data["virial"].reshape(f, 3, 3),
            **arrays,
        }
    )
