"""Checks the frames of large sets when they are read: a broken frame is an error, or is left out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from spinpot.core.console import print_line
from spinpot.core.errors import InputError
from spinpot.data.batch import Frame
from spinpot.data.cell import FLAT, flat_cells, volume
from spinpot.data.frame_checks import LARGEST, check_frames
from spinpot.data.systems import System, in_memory, part_of

if TYPE_CHECKING:
    from spinpot.data.dataset import Neighbours

NAMED = 3  # number of left-out frames of a set that get a line each; the others are counted


class Trained(Protocol):
    """A model's checks of its training frames; models.spec.Spec implements them."""

    def surely_trainable(self, frame: Frame) -> bool:
        """A quick test: True if the model can be trained on a frame; if False, call check_training."""

    def check_training(self, systems: Sequence[System]) -> None:
        """Raise InputError for frames that the model cannot be trained on."""

    def unlike_training(self, found: Neighbours) -> str | None:
        """A message on the first frame unlike the frames that determined the model; None if there is none."""


class Broken:
    """Handles broken frames of a set: raises an error, or with `skip` leaves them out and counts them.

    model: the model that is trained on the frames; None until it is known.
    """

    def __init__(self, skip: bool = False) -> None:
        self.skip = skip
        self.frames: set[tuple[str, int]] = set()
        self.model: Trained | None = None

    def looks_usable(self, system: System, frame: Frame) -> bool:
        """A quick test: True if a frame can be used; if False, call `usable`."""
        return looks_sound(system, frame) and (self.model is None or self.model.surely_trainable(frame))

    def usable(self, system: System, frame: int) -> bool:
        """Whether a frame can be used. Raises InputError if not, unless `skip`."""
        if why := self._why_not(system, frame):
            self._leave_out((system.name, system.number(frame)), why)
        return not why

    def within(self, system: System) -> dict[int, str]:
        """{frame: reason} for the broken frames of a system in memory. Raises InputError unless `skip`."""
        if not self.skip:
            check_frames(system)
            return {}
        return {frame: why for frame in range(len(system)) if (why := self._why_not(system, frame))}

    def without(self, system: System, broken: Mapping[int, str] | None = None) -> System:
        """A system in memory without its broken frames; it may be empty. broken: as `within` returns it."""
        broken = self.within(system) if broken is None else broken
        for frame, why in broken.items():
            self._leave_out((system.name, system.number(frame)), why)
        return part_of(system, np.setdiff1d(np.arange(len(system)), list(broken))) if broken else system

    def _why_not(self, system: System, frame: int) -> str:
        """Why a frame cannot be used; empty if it can. Raises InputError for a broken one unless `skip`."""
        try:
            check_frames(alone := in_memory(part_of(system, np.array([frame]))))
            if self.model is not None:
                self.model.check_training([alone])
        except InputError as error:
            if not self.skip:
                raise InputError(f"{error} Or set data.skip_broken=true to leave such frames out.") from error
            return str(error)
        return ""

    def _leave_out(self, origin: tuple[str, int], why: str) -> None:
        if origin not in self.frames and len(self.frames) < NAMED:
            print_line(f"look: left out (data.skip_broken): {why}")
        self.frames.add(origin)


def looks_sound(system: System, frame: Frame) -> bool:
    """A quick test of a frame's numbers and cell: True if they can be used; if False, call Broken.usable."""
    for name in ("box", "coord", "spin", *system.labels):
        values = getattr(frame, name).ravel()
        if not np.dot(values, values) < LARGEST**2:
            return False
    if not all(frame.pbc):
        return not flat_cells(frame.box[None], frame.pbc).any()
    edges = math.prod(math.hypot(*row) for row in frame.box.tolist())
    return volume(frame.box) > FLAT * edges
