"""Frames of large sets are checked when they are read; one that is broken names itself, or is left out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from spinpot.core.console import print_line
from spinpot.core.errors import InputError
from spinpot.data.batch import Frame
from spinpot.data.cell import FLAT, flat_cells, volume
from spinpot.data.systems import LARGEST, System, check_frames, in_memory, part_of

if TYPE_CHECKING:
    from spinpot.data.dataset import Neighbours

NAMED = 3  # frames left out of a set that are named; the others are counted


class Trained(Protocol):
    """What a model says of the frames that it is trained on, as models.spec.Spec does."""

    def surely_trainable(self, frame: Frame) -> bool:
        """Whether the model can surely be trained on a frame; if not, check_training tells."""

    def check_training(self, systems: Sequence[System]) -> None:
        """Raise InputError for frames that the model cannot be trained on."""

    def unlike_training(self, found: Neighbours) -> str | None:
        """What to say of the first frame that differs from those that settled the model."""


class Broken:
    """What becomes of the broken frames of a set: an error, or with `skip` they are left out and counted.

    model: that is trained on them, once it is known.
    """

    def __init__(self, skip: bool = False) -> None:
        self.skip = skip
        self.frames: set[tuple[str, int]] = set()
        self.model: Trained | None = None

    def looks_usable(self, system: System, frame: Frame) -> bool:
        """Whether a frame of a system can surely be used; if not, `usable` tells."""
        return looks_sound(system, frame) and (self.model is None or self.model.surely_trainable(frame))

    def usable(self, system: System, frame: int) -> bool:
        """Whether a frame can be used. Raises InputError if not, unless such frames are left out."""
        if why := self._why_not(system, frame):
            self._leave_out((system.name, system.number(frame)), why)
        return not why

    def within(self, system: System) -> dict[int, str]:
        """The broken frames of a system in memory, and why; raises InputError unless they are left out."""
        if not self.skip:
            check_frames(system)
            return {}
        return {frame: why for frame in range(len(system)) if (why := self._why_not(system, frame))}

    def without(self, system: System, broken: Mapping[int, str] | None = None) -> System:
        """A system in memory without its broken frames, maybe without any. broken: as within gives them."""
        broken = self.within(system) if broken is None else broken
        for frame, why in broken.items():
            self._leave_out((system.name, system.number(frame)), why)
        return part_of(system, np.setdiff1d(np.arange(len(system)), list(broken))) if broken else system

    def _why_not(self, system: System, frame: int) -> str:
        """Why a frame cannot be used; empty if it can. Raises InputError unless such frames are left out."""
        try:
            check_frames(alone := in_memory(part_of(system, np.array([frame]))))
            if self.model is not None:
                self.model.check_training([alone])
        except InputError as error:
            if not self.skip:
                raise InputError(f"{error} Or leave such frames out by data.skip_broken=true.") from error
            return str(error)
        return ""

    def _leave_out(self, origin: tuple[str, int], why: str) -> None:
        if origin not in self.frames and len(self.frames) < NAMED:
            print_line(f"look: left out (data.skip_broken): {why}")
        self.frames.add(origin)


def looks_sound(system: System, frame: Frame) -> bool:
    """Whether numbers and cell of a frame of a system are surely usable; if not, Broken.usable tells."""
    for name in ("box", "coord", "spin", *system.labels):
        values = getattr(frame, name).ravel()
        if not np.dot(values, values) < LARGEST**2:
            return False
    if not all(frame.pbc):
        return not flat_cells(frame.box[None], frame.pbc).any()
    edges = math.prod(math.hypot(*row) for row in frame.box.tolist())
    return volume(frame.box) > FLAT * edges
