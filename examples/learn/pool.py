"""A pool of frames by dynamics, and a test set: of the model alloy that spinpot has, with exact labels.

python examples/learn/pool.py FOLDER: FOLDER/pool and FOLDER/test, some minutes; killed, it resumes. The
dynamics are those of a linear potential fitted to 240 frames; the labels are the Hamiltonian's own.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms, units
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution

from spinpot.ase import SpinCalculator, SpinLatticeDynamics
from spinpot.data import alloy
from spinpot.data.from_ase import system_from_atoms
from spinpot.data.hamiltonian import labelled
from spinpot.data.systems import System
from spinpot.evaluation.predictor import Predictor
from spinpot.labels.configuration import Configuration
from spinpot.labels.neighbours import shortest
from spinpot.labels.recipe import configurations, recipe_of
from spinpot.labels.structure import find_structure
from spinpot.models.native_spin.settings import NetSettings, SumsSettings
from spinpot.models.native_spin.spec import NativeSpinSettings
from spinpot.models.potential import Potential
from spinpot.models.registry import build_potential
from spinpot.models.start import TrainingLabels

ELEMENTS = {
    "Fe3Co3O2": {"Fe": 3, "Co": 3, "O": 2},
    "Fe2Co4O2": {"Fe": 2, "Co": 4, "O": 2},
    "Fe5Co2O1": {"Fe": 5, "Co": 2, "O": 1},
    "Fe4Co4": {"Fe": 4, "Co": 4},
}
TEMPERATURES = (50.0, 150.0, 300.0, 600.0, 1000.0, 1500.0)  # K
MOMENTS = {"Fe": [1.9, 2.5], "Co": [1.3, 1.9], "O": 0}  # μ_B
RECIPE = {
    "supercell": [2, 2, 2],
    "hold": "vector",
    "displacement": [0.0, 0.1],
    "tilt": [0.0, 180.0],
}
WIDE = {**RECIPE, "displacement": [0.0, 0.6], "frames": 60}  # what the dynamics' potential is fitted to
FRAMES = {"pool": 50, "test": 20}  # of a trajectory; two of each temperature and system
EVERY, WARM, STEP = 12, 30, 3.0  # steps, steps, fs
AGAIN = 1000  # added to the number of a trajectory that is drawn again
FAILS = 1.2  # Å: the dynamics' potential fails where atoms come closer, and the trajectory is drawn again
CLOSEST = 1.9  # Å: frames with closer atoms are left out, as no linear potential fits them
MAGNETIC = torch.tensor([True, True, False])


def site() -> Atoms:
    """The structure that is changed."""
    return find_structure(None, {"name": "Fe", "crystalstructure": "sc", "a": 2.45})


def exact(atoms: Atoms) -> System:
    """One labelled frame."""
    moments = atoms.get_initial_magnetic_moments()
    made = system_from_atoms(atoms, "frame", moments, alloy.ELEMENTS)
    return labelled(made, alloy.HAMILTONIAN, alloy.CUTOFF)


def with_moments(one: Configuration) -> Atoms:
    """A configuration's atoms."""
    own = one.atoms
    return Atoms(own.symbols, positions=own.positions, cell=own.cell, pbc=True, magmoms=one.moments)


def fitted(systems: list[System]) -> Potential:
    """The linear potential by least squares, with what errors it expects: no gradient steps."""
    sums = SumsSettings(cutoff=4.5, closest=1.5)
    spec = NativeSpinSettings(descriptor=sums, fitting_net=NetSettings(neuron=[])).spec(
        alloy.ELEMENTS, (True, True, False)
    )
    potential = build_potential(spec)
    potential.set_statistics(iter(()), systems)
    prefactors = {"e": 1.0, "fr": 1.0, "fm": 1.0}
    potential.start(TrainingLabels(systems, spec.geometry, prefactors, 0.5, MAGNETIC))
    return potential.eval()


def for_dynamics() -> Potential:
    """Fitted to frames of a recipe."""
    recipe = recipe_of({**WIDE, "systems": {name: of_system(name) for name in ELEMENTS}})
    return fitted([exact(with_moments(one)) for one in configurations(recipe, site(), 0)])


def of_system(name: str) -> dict[str, Any]:
    """What a system has of its own."""
    counts = ELEMENTS[name]
    return {"elements": counts, "moments": {element: MOMENTS[element] for element in counts}}


def trajectory(
    potential: Potential, name: str, temperature: float, frames: int, number: int
) -> dict[str, np.ndarray]:
    """Frames with their labels."""
    recipe = recipe_of({**RECIPE, "systems": {name: {"frames": 1, **of_system(name)}}})
    atoms = with_moments(configurations(recipe, site(), number)[0])
    atoms.calc = SpinCalculator(Predictor(potential))
    MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=np.random.default_rng(number))
    dynamics = SpinLatticeDynamics(
        *(atoms, STEP * units.fs),
        damping=0.2,
        friction=0.02 / units.fs,
        temperature_K=temperature,
        seed=number,
        tolerance=1e-3,
    )
    dynamics.run(WARM)
    found = []
    while len(found) < frames:
        dynamics.run(EVERY)
        if (distance := shortest(atoms)) < FAILS:
            return trajectory(potential, name, temperature, frames, number + AGAIN)
        if distance > CLOSEST:
            found.append(exact(atoms))
    names = ("box", "coord", "spin", "energy", "force", "force_mag")
    arrays = {key: np.concatenate([getattr(one, key) for one in found]) for key in names}
    return {**arrays, "types": found[0].types, "temperature": np.full(frames, temperature)}


def main(folder: Path) -> None:
    """All trajectories that are not there yet."""
    number, potential = 0, None
    for part, frames in FRAMES.items():
        (folder / part).mkdir(parents=True, exist_ok=True)
        for name in ELEMENTS:
            for temperature in TEMPERATURES:
                for repeat in range(2):
                    number += 1
                    file = folder / part / f"{name}_{temperature:g}_{repeat}.npz"
                    if file.exists():
                        continue
                    potential = potential or for_dynamics()
                    draft = file.with_suffix(".new")
                    with draft.open("wb") as stream:
                        np.savez(stream, **trajectory(potential, name, temperature, frames, number))
                    draft.rename(file)
                    print(file, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
