"""What a user sets about learning: exploration, the limit and the budget, and frames that are held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from spinpot.core.errors import InputError, require


@dataclass(frozen=True)
class Exploration:
    """Spin-lattice dynamics from labelled frames, in a heat bath."""

    temperatures: list[float] = field(default_factory=lambda: [300.0])
    """K; the trajectories of a round have them in turn."""
    field: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    """Tesla."""
    trajectories: int = 8
    """Of each round."""
    steps: int = 1000
    """Of a trajectory."""
    timestep: float = 1.0
    """fs."""
    frames: int = 20
    """Kept of a trajectory, at equal intervals."""
    damping: float = 0.1
    """α, by which the spins are bound to the bath."""
    friction: float = 0.01
    """1/fs, by which the atoms are."""

    def check(self) -> None:
        """Raise InputError for what makes no sense."""
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
                f"{key}damping=0 and {key}friction=0: nothing is bound to the heat bath. Give one of them."
            )


@dataclass(frozen=True)
class Learning:
    """When a frame is uncertain, and when it is enough."""

    limit: float | None = None
    """eV/Å: a frame is uncertain if a force of it is expected to err by more."""
    limit_mag: float | None = None
    """eV/μ_B: the same for magnetic forces; None: they are not looked at."""
    uncertain_share: float = 0.05
    """Of the explored frames, at which learning ends."""
    batch: int = 10
    """The most frames that are labelled after a round."""
    rounds: int = 20
    """The most rounds."""
    labels: int | None = None
    """The most frames that the labeller is asked for, those that are held out among them; None: no limit."""
    hours: float | None = None
    """After which no round begins; None: no limit."""
    ensemble: int = 1
    """Trainings of each round, by seed. Of several the deviation counts, too."""

    def check(self) -> None:
        """Raise InputError for what makes no sense."""
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
    """Frames that are not trained."""

    systems: Sequence[str] | None = None
    """Folders of them; None: the labeller makes them by the recipe, with other random numbers."""
    frames: int = 10
    """Of each system of the recipe, where there are no folders."""

    def check(self, name: str) -> None:
        """Raise InputError for what makes no sense."""
        require(self.frames >= 1, f"{name}.frames", self.frames, "a whole number >= 1.")
