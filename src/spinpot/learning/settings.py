"""Settings of active learning: exploration, limits, budget, validation and test frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from spinpot.core.errors import InputError, require

TOLERANCE = 1e-4
"""Tolerance of the implicit midpoint step of the spins in an exploration, μ_B."""


@dataclass(frozen=True)
class Exploration:
    """Spin-lattice dynamics from labelled frames, coupled to a heat bath."""

    temperatures: list[float] = field(default_factory=lambda: [300.0])
    """Temperatures in K, used in turn by the trajectories."""
    field: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    """Magnetic field in tesla."""
    trajectories: int = 8
    """Number of trajectories in each round."""
    steps: int = 1000
    """Steps of a trajectory."""
    timestep: float = 1.0
    """Time step in fs."""
    frames: int = 20
    """Number of frames kept per trajectory, at equal intervals."""
    damping: float = 0.1
    """Damping α, which couples the spins to the heat bath."""
    friction: float = 0.01
    """Friction in 1/fs, which couples the atoms to the heat bath."""
    lammps: str | None = None
    """Command that starts LAMMPS, which then runs the dynamics; None: it runs in Python."""

    def check(self) -> None:
        """Raise InputError for settings that make no sense."""
        key = "exploration."
        fine = self.temperatures and min(self.temperatures) >= 0.0
        require(fine, f"{key}temperatures", self.temperatures, "at least one, in K, none below 0.")
        require(len(self.field) == 3, f"{key}field", self.field, "three numbers, in tesla.")
        for name in ("trajectories", "steps", "frames"):
            require(getattr(self, name) >= 1, key + name, getattr(self, name), "a whole number >= 1.")
        require(
            self.frames <= self.steps, f"{key}frames", self.frames, f"at most as many as steps, {self.steps}."
        )
        require(self.timestep > 0.0, f"{key}timestep", self.timestep, "a number > 0, in fs.")
        for name in ("damping", "friction"):
            require(getattr(self, name) >= 0.0, key + name, getattr(self, name), "a number >= 0.")
        if max(self.temperatures) > 0.0 and self.damping == self.friction == 0.0:
            raise InputError(
                f"{key}damping=0 and {key}friction=0: nothing is coupled to the heat bath. Set one above 0."
            )


@dataclass(frozen=True)
class Bath:
    """The heat bath of one trajectory: temperature in K, and the seed of its noise. settings: all others."""

    settings: Exploration
    temperature: float
    seed: int


@dataclass(frozen=True)
class Learning:
    """When a frame is uncertain, and when learning ends."""

    limit: float | None = None
    """eV/Å. A frame is uncertain if the expected error of a force is larger; None: forces do not count."""
    limit_mag: float | None = None
    """eV/μ_B, the same for magnetic forces; None: magnetic forces do not count."""
    uncertain_share: float = 0.05
    """Learning ends when at most this fraction of the explored frames is uncertain."""
    batch: int = 10
    """Largest number of frames labelled after a round."""
    rounds: int = 20
    """Largest number of rounds."""
    labels: int | None = None
    """Largest number of frames given to the labeller, including validation and test; None: no limit."""
    hours: float | None = None
    """No round starts after this time; None: no limit."""
    ensemble: int = 1
    """Number of runs per round, with different seeds. With several, their deviation counts as well."""

    def check(self) -> None:
        """Raise InputError for settings that make no sense."""
        key = "learn."
        for name in ("limit", "limit_mag", "hours"):
            value = getattr(self, name)
            require(value is None or value > 0.0, key + name, value, "a number > 0, or null.")
        if self.limit is None and self.limit_mag is None:
            raise InputError("learn.limit and learn.limit_mag are both null. Give one of them, or both.")
        fine = 0.0 <= self.uncertain_share < 1.0
        require(fine, f"{key}uncertain_share", self.uncertain_share, "a number from 0 to below 1.")
        for name in ("batch", "rounds", "ensemble", "labels"):
            value = getattr(self, name)
            require(value is None or value >= 1, key + name, value, "a whole number >= 1.")


@dataclass(frozen=True)
class HeldOut:
    """Validation or test frames."""

    systems: Sequence[str] | None = None
    """Folders of frames; None: frames are made by the recipe with other random numbers, and labelled."""
    frames: int = 10
    """Number of frames of each system of the recipe, used without folders."""

    def check(self, name: str) -> None:
        """Raise InputError for settings that make no sense."""
        require(self.frames >= 1, f"{name}.frames", self.frames, "a whole number >= 1.")
