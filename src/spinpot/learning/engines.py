"""The dynamics of an exploration: in Python, or in LAMMPS with spinpot's plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from ase import Atoms, units

from spinpot.ase.dynamics import SpinLatticeDynamics
from spinpot.core.errors import InputError
from spinpot.learning.lammps import find_lammps
from spinpot.learning.score import Judge
from spinpot.learning.settings import TOLERANCE, Bath, Exploration
from spinpot.models.potential import Potential
from spinpot.models.registry import model_class


class Dynamics(Protocol):
    """A running dynamics of some atoms."""

    def run(self, steps: int) -> object:
        """Make steps and update positions and initial moments. Raises InputError if a step fails."""


Engine = Callable[[Judge, Atoms, Bath], AbstractContextManager[Dynamics]]
"""Starts the dynamics of atoms, which have momenta, moments and the judge's calculator."""


def engine_of(settings: Exploration, kind: str) -> Engine:
    """The engine that the settings name. kind: of the model.

    Raises InputError if LAMMPS does not start with the plugin, or cannot evaluate this kind of model.
    """
    if settings.lammps is None:
        return in_python
    if model_class(kind).inference is Potential.inference:
        raise InputError(
            f"exploration.lammps={settings.lammps}: LAMMPS cannot run a model of the kind {kind}, because it "
            "has no model file (it lacks Potential.inference). Use exploration.lammps=null."
        )
    return find_lammps(settings.lammps).dynamics


@contextmanager
def in_python(judge: Judge, atoms: Atoms, bath: Bath) -> Iterator[Dynamics]:
    """SpinLatticeDynamics with the atoms' calculator: forces are the means of all potentials."""
    settings = bath.settings
    yield SpinLatticeDynamics(
        atoms,
        settings.timestep * units.fs,
        damping=settings.damping,
        friction=settings.friction / units.fs,
        temperature_K=bath.temperature,
        field=settings.field,
        seed=bath.seed,
        tolerance=TOLERANCE,
    )
