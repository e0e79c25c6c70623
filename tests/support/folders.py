"""Systems on disk."""

from pathlib import Path

import numpy as np

from spinpot.data.systems import System
from support.frames import evaluate, random_system, small_potential, system

ARRAYS = ("box", "coord", "spin", "energy", "force", "force_mag", "virial")


def write_npy(folder: Path, made: System) -> Path:
    """A system in deepmd's npy layout, with the labels it has."""
    frames = folder / "set.000"
    frames.mkdir(parents=True)
    (folder / "type.raw").write_text("\n".join(map(str, made.types)) + "\n")
    (folder / "type_map.raw").write_text("\n".join(made.type_map) + "\n")
    for name in ARRAYS:
        values = getattr(made, name)
        if values is not None:
            np.save(frames / f"{name}.npy", values.reshape(len(made), -1))
    return folder


def labelled_by_a_potential(seed: int, n_frames: int, n_ni: int = 3, n_o: int = 2) -> System:
    """Random frames whose labels belong together, being those of some potential."""
    made = random_system(seed, n_frames, n_ni, n_o)
    outputs = evaluate(small_potential(seed=99), made)
    n = made.n_atoms
    labels = {
        "energy": outputs["energy"],
        "force": outputs["force"].reshape(n_frames, n, 3),
        "force_mag": outputs["force_mag"].reshape(n_frames, n, 3),
        "virial": outputs["virial"],
    }
    return system(made.type_map, made.types, made.box, made.coord, made.spin, name=made.name, **labels)


def write_small_set(folder: Path) -> list[str]:
    """Training and validation systems of two sizes; returns the overrides that train on them."""
    train = [
        write_npy(folder / "small", labelled_by_a_potential(1, 7)),
        write_npy(folder / "other", labelled_by_a_potential(2, 4, n_ni=2, n_o=4)),
    ]
    validation = write_npy(folder / "validation", labelled_by_a_potential(3, 5))
    return [
        "data=npy",
        f"data.train=[{','.join(map(str, train))}]",
        f"data.validation=[{validation}]",
        "debug=fast",
        "model.descriptor.rcut=4.0",
    ]
