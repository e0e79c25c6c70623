"""Systems on disk."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from spinpot.data.systems import System
from support.frames import evaluate, random_system, small_potential

ARRAYS = ("box", "coord", "spin", "energy", "force", "force_mag", "virial")


def write_npy(folder: Path, made: System) -> Path:
    """A system in deepmd's npy layout, with the labels it has."""
    frames = folder / "set.000"
    frames.mkdir(parents=True)
    (folder / "type.raw").write_text("\n".join(map(str, made.types)) + "\n")
    (folder / "type_map.raw").write_text("\n".join(made.type_map) + "\n")
    if not all(made.pbc):
        (folder / "pbc.raw").write_text(" ".join(str(int(periodic)) for periodic in made.pbc))
    for name in ARRAYS:
        values = getattr(made, name)
        if values is not None:
            np.save(frames / f"{name}.npy", values.reshape(len(made), -1))
    return folder


def labelled_by_a_potential(seed: int, n_frames: int, n_ni: int = 3, n_o: int = 2) -> System:
    """Random frames whose labels belong together, being those of some potential."""
    return with_labels_of_a_potential(random_system(seed, n_frames, n_ni, n_o))


SMALL = {
    "spin": (
        *("model.descriptor.rcut=4.0", "model.descriptor.neuron=[4,8]", "model.descriptor.axis_neuron=4"),
        "model.fitting_net.neuron=[8,8]",
    ),
    "native_spin": (
        *("model.descriptor.cutoff=4.0", "model.descriptor.n_radial=4", "model.fitting_net.neuron=[8,8]"),
        "model.descriptor.channels={density:3,direction:3,moment:3,moment_square:3}",
    ),
}
"""Overrides for a model of few numbers, by the model's option."""


def write_small_set(folder: Path, model: str = "spin") -> list[str]:
    """Training and validation systems of two sizes; returns overrides to train on them, without a page."""
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
        "report=false",
        f"model={model}",
        *SMALL[model],
    ]


def with_labels_of_a_potential(made: System) -> System:
    """The same frames with labels that belong together, being those of some potential."""
    outputs = evaluate(small_potential(seed=99), made)
    per_atom = made.coord.shape
    return replace(
        made,
        energy=outputs["energy"],
        force=outputs["force"].reshape(per_atom),
        force_mag=outputs["force_mag"].reshape(per_atom),
        virial=outputs["virial"],
    )
