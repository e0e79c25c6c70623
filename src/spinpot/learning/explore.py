"""Exploration: spin-lattice dynamics with the newest potential, started from labelled frames.

An engine makes the steps (engines.py). A trajectory ends early when its frames become unphysical or far too
uncertain.
"""

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

from spinpot.core.console import counted
from spinpot.core.errors import InputError
from spinpot.core.files import write_atomically
from spinpot.labels.configuration import Array, Configuration
from spinpot.labels.folder import Labelled
from spinpot.labels.neighbours import shortest
from spinpot.learning.engines import Dynamics, Engine
from spinpot.learning.score import Judge
from spinpot.learning.settings import Bath, Exploration

LOOKS = 4
"""Number of checks of a trajectory per kept frame."""
FAR = 10.0
"""A trajectory ends at this multiple of the limit, or of the start frame's score if that is larger."""
CLOSE = 0.5
"""A trajectory ends if atoms come closer than this fraction of the shortest distance in its first frame."""


@dataclass(frozen=True)
class Trajectory:
    """The kept frames of a trajectory, F frames of N atoms, with their scores (F,).

    system, start: system and name of the labelled frame it started from. ended: why it ended early, else "".
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
        """Frame `frame` as Atoms. like: a configuration of the same atoms."""
        made = bare(like)
        made.set_cell(self.cell)
        made.positions[:] = self.positions[frame]
        made.set_initial_magnetic_moments(self.moments[frame])
        return made

    def write(self, file: Path) -> None:
        """Write the trajectory atomically."""
        contents = io.BytesIO()
        np.savez(contents, **vars(self))
        write_atomically(file, contents.getvalue())

    @classmethod
    def read(cls, file: Path) -> Trajectory:
        """Read a file written by `write`."""
        with np.load(file) as stored:
            found: dict[str, Any] = {
                name: values if values.ndim else values.item() for name, values in stored.items()
            }
        return cls(**found)


def bare(configuration: Configuration) -> Atoms:
    """The atoms of a configuration without the extra arrays of the recipe."""
    own = configuration.atoms
    return Atoms(own.symbols, positions=own.positions, cell=own.cell, pbc=own.pbc)


def beginning(labelled: Labelled) -> Atoms:
    """A labelled frame with its calculated moments; zero for non-magnetic atoms."""
    atoms = bare(labelled.configuration)
    magnetic = labelled.configuration.moments.any(axis=1, keepdims=True)
    atoms.set_initial_magnetic_moments(np.where(magnetic, labelled.label.moments, 0.0))
    return atoms


def random_numbers(*key: int) -> np.random.Generator:
    """A random generator that depends only on the key, e.g. (seed, round, number of the trajectory)."""
    return np.random.default_rng(list(key))


def explore(
    judge: Judge,
    engine: Engine,
    starts: Mapping[str, Sequence[Labelled]],
    settings: Exploration,
    folder: Path,
    seed: int,
    number: int,
) -> list[Trajectory]:
    """All trajectories of a round, each in a file; existing files are read.

    starts: labelled frames by system. number: the number of the round.
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
            trajectory(judge, engine, start, settings, temperature, random).write(file)
    return [Trajectory.read(folder / f"{place:04d}.npz") for place in range(settings.trajectories)]


def trajectory(
    judge: Judge,
    engine: Engine,
    start: Labelled,
    settings: Exploration,
    temperature: float,
    random: np.random.Generator,
) -> Trajectory:
    """Run one trajectory. If a check fails it ends, and the last frame that passed is kept."""
    begun = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # exploration is meant to leave the range of the training frames
        run = Running(judge, start, settings)
        spread = np.sqrt(units.kB * temperature * run.atoms.get_masses())
        run.atoms.set_momenta(spread[:, None] * random.normal(size=(len(run.atoms), 3)))
        bath = Bath(settings, temperature, seed=int(random.integers(2**62)))
        with engine(judge, run.atoms, bath) as dynamics:
            ended = run.to_the_end(dynamics)
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
    """Positions and moments (N, 3), and the score of a frame."""

    positions: Array
    moments: Array
    score: float


class Running:
    """A running trajectory and its kept frames."""

    def __init__(self, judge: Judge, start: Labelled, settings: Exploration) -> None:
        self.judge, self.settings = judge, settings
        self.atoms = beginning(start)
        self.atoms.calc = judge.calculator()
        self.closest = CLOSE * shortest(self.atoms)
        self.far = FAR * max(1.0, judge.first_score(self.atoms))
        self.kept: list[State] = []

    def to_the_end(self, dynamics: Dynamics) -> str:
        """Run all steps, or until a check fails; returns the reason of an early end, else ""."""
        looks = LOOKS * self.settings.frames
        steps = np.linspace(0, self.settings.steps, looks + 1).astype(int)
        sane: State | None = None
        for look in range(1, looks + 1):
            try:
                dynamics.run(int(steps[look] - steps[look - 1]))
                found, why = self.state()
            except InputError as error:  # overlapping atoms, no converged midpoint, non-finite energy
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
        """The current frame, and the reason to end if it fails a check, else ""."""
        positions, moments = self.atoms.positions.copy(), self.atoms.get_initial_magnetic_moments()
        if not (np.isfinite(positions).all() and np.isfinite(moments).all()):
            return State(positions, moments, np.inf), "not all numbers are finite"
        found = State(positions, moments.copy(), self.judge.score(self.atoms))
        if not found.score <= self.far:
            return found, f"the expected error is {found.score:.3g} times the limit"
        if (distance := shortest(self.atoms)) < self.closest:
            return found, f"atoms are {distance:.2f} Å apart"
        return found, ""
