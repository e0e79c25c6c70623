"""Frames of the built-in NiO in memory, equal to those of its training set."""

from functools import cache

import numpy as np

from spinpot.data import nio
from spinpot.data.nio_frames import sample
from spinpot.data.systems import System
from support.frames import system


@cache
def primitive_nio(frames: int = 140) -> System:
    """The first frames of train/primitive_16 of seed 0."""
    rng = np.random.default_rng([0, 0])
    made = [sample("primitive_16", rng) for _ in range(frames)]
    found = [nio.labels(one) for one in made]
    labels = {name: np.stack([one[name] for one in found]) for name in found[0]}
    box, coord, spin = (np.stack([getattr(one, name) for one in made]) for name in ("box", "coord", "spin"))
    return system(nio.TYPE_NAMES, made[0].types, box, coord, spin, name="primitive_16", **labels)
