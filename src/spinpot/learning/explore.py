"""Exploration: dynamics of the newest potential from labelled frames, as far as it stays sane."""

from __future__ import annotations

import io
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units

from spinpot.ase.dynamics import SpinLatticeDynamics
from spinpot.core.console import counted
from spinpot.core.errors import InputError
from spinpot.core.files import write_atomically
from spinpot.labels.configuration import Array, Configuration
from spinpot.labels.folder import Labelled
from spinpot.labels.neighbours import shortest
from spinpot.learning.score import Judge
from spinpot.learning.settings import Exploration

LOOKS = 4
"""At a trajectory, for each frame that is kept."""
FAR = 10.0
"""Times the limit, or the labelled frame's score where that is larger: the potential knows too little."""
CLOSE = 0.5
"""Of the shortest distance of the first frame: atoms closer than that are on top of each other."""
TOLERANCE = 1e-4
"""μ_B, of the spins' midpoints."""


@dataclass(frozen=True)
class Trajectory:
    """Frames of a trajectory, F of N atoms, with their scores (F,).

    system, start: those of the labelled frame it began from. ended: why it stopped early, or nothing.
    """

    system: str
    start: str
    temperature: float
    cell: Array
    positions: Array
    moments: Array
    scores: Array
    ended: str
    seconds: float

    def atoms(self, frame: int, like: Configuration) -> Atoms:
        """One frame. like: a configuration of the same atoms."""
        made = bare(like)
        made.set_cell(self.cell)
        made.positions[:] = self.positions[frame]
        made.set_initial_magnetic_moments(self.moments[frame])
        return made

    def write(self, file: Path) -> None:
        """Whole or not at all."""
        contents = io.BytesIO()
        np.savez(contents, **vars(self))
        write_atomically(file, contents.getvalue())

    @classmethod
    def read(cls, file: Path) -> Trajectory:
        """What `write` wrote."""
        with np.load(file) as stored:
            found: dict[str, Any] = {
                name: values if values.ndim else values.item() for name, values in stored.items()
            }
        return cls(**found)


def bare(configuration: Configuration) -> Atoms:
    """Its atoms without what a recipe has left on them."""
    own = configuration.atoms
    return Atoms(own.symbols, positions=own.positions, cell=own.cell, pbc=own.pbc)


def beginning(labelled: Labelled) -> Atoms:
    """A labelled frame with the moments that were found, of those atoms that have one."""
    atoms = bare(labelled.configuration)
    magnetic = labelled.configuration.moments.any(axis=1, keepdims=True)
    atoms.set_initial_magnetic_moments(np.where(magnetic, labelled.label.moments, 0.0))
    return atoms


def random_numbers(*key: int) -> np.random.Generator:
    """A generator that is a function of the seed, the round and the number of what it is for."""
    return np.random.default_rng(list(key))


def explore(
    judge: Judge,
    starts: Mapping[str, Sequence[Labelled]],
    settings: Exploration,
    folder: Path,
    seed: int,
    number: int,
) -> list[Trajectory]:
    """All trajectories of a round, each in a file; those that are there already are read.

    starts: labelled frames by system. number: of the round.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for place in counted(range(settings.trajectories), "Exploring", settings.trajectories):
        file = folder / f"{place:04d}.npz"
        if not file.exists():
            turn = number * settings.trajectories + place
            temperature = settings.temperatures[turn % len(settings.temperatures)]
            system = [*starts][turn // len(settings.temperatures) % len(starts)]
            random = random_numbers(seed, number, place)
            start = starts[system][int(random.integers(len(starts[system])))]
            trajectory(judge, start, settings, temperature, random).write(file)
    return [Trajectory.read(folder / f"{place:04d}.npz") for place in range(settings.trajectories)]


def trajectory(
    judge: Judge, start: Labelled, settings: Exploration, temperature: float, random: np.random.Generator
) -> Trajectory:
    """One trajectory. Where it leaves what is sane it ends, and the last sane frame is kept."""
    begun, run = time.monotonic(), Running(judge, start, settings, temperature, random)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that frames are unlike those of training is what is looked for
        ended = run.to_the_end()
    kept = run.kept
    return Trajectory(
        system=start.configuration.system,
        start=start.configuration.name,
        temperature=temperature,
        cell=np.array(run.atoms.cell.array),
        positions=np.array([one.positions for one in kept]).reshape(-1, len(run.atoms), 3),
        moments=np.array([one.moments for one in kept]).reshape(-1, len(run.atoms), 3),
        scores=np.array([one.score for one in kept]),
        ended=ended,
        seconds=time.monotonic() - begun,
    )


@dataclass(frozen=True)
class State:
    """Positions and moments (N, 3), and the score."""

    positions: Array
    moments: Array
    score: float


class Running:
    """A trajectory while it runs, and the frames that it has kept."""

    def __init__(
        self,
        judge: Judge,
        start: Labelled,
        settings: Exploration,
        temperature: float,
        random: np.random.Generator,
    ) -> None:
        self.judge, self.settings = judge, settings
        self.atoms = beginning(start)
        self.atoms.calc = judge.calculator()
        self.closest = CLOSE * shortest(self.atoms)
        self.far = FAR * max(1.0, judge.score(self.atoms))
        self.kept: list[State] = []
        spread = np.sqrt(units.kB * temperature * self.atoms.get_masses())
        self.atoms.set_momenta(spread[:, None] * random.normal(size=(len(self.atoms), 3)))
        self.dynamics = SpinLatticeDynamics(
            self.atoms,
            settings.timestep * units.fs,
            damping=settings.damping,
            friction=settings.friction / units.fs,
            temperature_K=temperature,
            field=settings.field,
            seed=int(random.integers(2**62)),
            tolerance=TOLERANCE,
        )

    def to_the_end(self) -> str:
        """All steps, or as far as it stays sane; why not farther."""
        looks = LOOKS * self.settings.frames
        steps = np.linspace(0, self.settings.steps, looks + 1).astype(int)
        sane: State | None = None
        for look in range(1, looks + 1):
            try:
                count = int(steps[look] - steps[look - 1])
                self.dynamics.run(count)  # type: ignore[no-untyped-call]
                found, why = self.state()
            except InputError as error:  # atoms on top of each other, no midpoint, no finite energy
                found, why = None, str(error)
            if found is None or why:
                if sane is not None:
                    self.kept.append(sane)
                return why
            sane = None if look % LOOKS == 0 else found
            if sane is None:
                self.kept.append(found)
        return ""

    def state(self) -> tuple[State, str]:
        """The frame as it is now, and what is not sane about it."""
        positions, moments = self.atoms.positions.copy(), self.atoms.get_initial_magnetic_moments()
        if not (np.isfinite(positions).all() and np.isfinite(moments).all()):
            return State(positions, moments, np.inf), "not all numbers are finite"
        found = State(positions, moments.copy(), self.judge.score(self.atoms))
        if not found.score <= self.far:
            return found, f"the expected error is {found.score:.3g} limits"
        if (distance := shortest(self.atoms)) < self.closest:
            return found, f"atoms are {distance:.2f} Å apart"
        return found, ""
