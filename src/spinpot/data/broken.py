"""Frames of large sets are checked when they are read; one that is broken names itself, or is left out."""

import math

import numpy as np

from spinpot.core.console import print_line
from spinpot.core.errors import InputError
from spinpot.data.batch import Frame
from spinpot.data.cell import FLAT, flat_cells
from spinpot.data.systems import LARGEST, System, check_frames, in_memory, part_of

NAMED = 3  # frames left out of a set that are named; the others are counted


class Broken:
    """What becomes of the broken frames of a set: an error, or with `skip` they are left out and counted."""

    def __init__(self, skip: bool = False) -> None:
        self.skip = skip
        self.frames: set[tuple[str, int]] = set()

    def usable(self, system: System, frame: int) -> bool:
        """Whether a frame can be used. Raises InputError if not, unless such frames are left out."""
        try:
            check_frames(in_memory(part_of(system, np.array([frame]))))
        except InputError as error:
            if not self.skip:
                raise InputError(f"{error} Or leave such frames out by data.skip_broken=true.") from error
            origin = (system.name, system.number(frame))
            if origin not in self.frames and len(self.frames) < NAMED:
                print_line(f"look: left out (data.skip_broken): {error}")
            self.frames.add(origin)
            return False
        return True

    def without(self, system: System) -> System:
        """A system in memory without its broken frames, maybe without any frame."""
        if not self.skip:
            check_frames(system)
            return system
        stays = [frame for frame in range(len(system)) if self.usable(system, frame)]
        return part_of(system, np.array(stays, dtype=np.int64))


def looks_sound(system: System, frame: Frame) -> bool:
    """Whether numbers and cell of a frame of a system are surely usable; if not, Broken.usable tells."""
    for name in ("box", "coord", "spin", *system.labels):
        values = getattr(frame, name).ravel()
        if not np.dot(values, values) < LARGEST**2:
            return False
    if not all(frame.pbc):
        return not flat_cells(frame.box[None], frame.pbc).any()
    edges = math.prod(math.hypot(*row) for row in frame.box.tolist())
    return bool(abs(np.linalg.det(frame.box)) > FLAT * edges)
