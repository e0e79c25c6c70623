"""Labellers that make errors, and small sets of configurations."""

import dataclasses
from pathlib import Path

import numpy as np
from ase.build import bulk

from spinpot.labels.configuration import Configuration
from spinpot.labels.label import FrameError
from spinpot.labels.labellers.hamiltonian import HamiltonianLabeller
from spinpot.labels.recipe import configurations, recipe_of
from spinpot.labels.structure import vectors_of

SITES = {"name": "Fe", "crystalstructure": "sc", "a": 2.45}
ALLOY = {
    "supercell": [2, 2, 2],
    "moments": {"Fe": [2.0, 2.4], "Co": [1.4, 1.8], "O": 0},
    "hold": "vector",
    "displacement": [0.0, 0.15],
    "tilt": [0.0, 120.0],
    "elements": {"Fe": 3, "Co": 3, "O": 2},
}


def structure(**built):
    """Of ase.build.bulk, with vectors as moments."""
    atoms = bulk(**built)
    moments = vectors_of(atoms)
    atoms.arrays.pop("initial_magmoms", None)
    atoms.set_initial_magnetic_moments(moments)
    return atoms


def alloy(frames: int, seed: int = 0, **settings) -> list[Configuration]:
    """Configurations of the built-in alloy."""
    recipe = recipe_of({"systems": {"alloy": {**ALLOY, "frames": frames, **settings}}})
    return configurations(recipe, structure(**SITES), seed)


class Counting(HamiltonianLabeller):
    """The alloy's labels; counts in files, for several processes, how often each frame is asked for."""

    def __init__(self, folder: Path, fails=lambda number: False, change=lambda label: label) -> None:
        super().__init__("alloy")
        self.asked = folder
        self.asked.mkdir(exist_ok=True)
        self.fails = fails
        self.change = change

    def label(self, configuration, folder):
        number = int(configuration.name.rpartition("/")[2])
        with (self.asked / str(number)).open("a") as file:
            file.write("x")
        if self.fails(number):
            raise FrameError("not converged after 200 iterations")
        return self.change(super().label(configuration, folder))

    def counts(self) -> dict[int, int]:
        """How often each frame was asked for."""
        return {int(file.name): len(file.read_text()) for file in self.asked.iterdir()}


def replaced(**changes):
    """A change of a label for Counting: functions of what was there, by name."""
    return lambda label: dataclasses.replace(
        label, **{name: change(getattr(label, name)) for name, change in changes.items()}
    )


def spoiled(values: np.ndarray) -> np.ndarray:
    """With a NaN."""
    values = np.array(values)
    values[0] = np.nan
    return values
