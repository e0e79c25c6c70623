"""A sample of the frames of large sets: what shapes a model is taken from it, not from every frame."""

from collections.abc import Callable, Sequence

import numpy as np

from spinpot.core.console import counted
from spinpot.data.broken import Broken
from spinpot.data.systems import System, in_memory, part_of

STREAM = 2  # keeps these random numbers apart from those that order the frames and turn spins


def sample_of(
    systems: Sequence[System], most: int, seed: int, check: Callable[[System], System] | None = None
) -> list[System]:
    """At most so many frames of the systems, in memory and checked; all, if they are no more.

    They are drawn at random, and one more for each element and each label that none of these has. check: as
    for read_systems; without it a frame that cannot be used raises InputError.
    """
    check = check or Broken().without
    sizes = np.array([len(system) for system in systems])
    if sizes.sum() <= most:
        return _read(systems, check)
    drawn = np.sort(np.random.default_rng([seed, STREAM]).choice(int(sizes.sum()), most, replace=False))
    place = np.searchsorted(sizes.cumsum(), drawn, side="right")
    starts, used = sizes.cumsum() - sizes, np.unique(place)
    parts = np.split(drawn, np.flatnonzero(np.diff(place)) + 1)
    chosen = {int(k): part - starts[k] for k, part in zip(used, parts, strict=True)}
    known = {thing for k in chosen for thing in _holds(systems[k])}
    for k, system in enumerate(systems):
        if k not in chosen and not _holds(system) <= known:
            chosen[k] = np.zeros(1, dtype=np.int64)
            known |= _holds(system)
    return _read([part_of(systems[k], chosen[k]) for k in sorted(chosen)], check)


def _holds(system: System) -> set[str | int]:
    """Its labels, and its elements by their numbers."""
    return {*system.labels, *np.unique(system.types).tolist()}


def _read(systems: Sequence[System], check: Callable[[System], System]) -> list[System]:
    """What can be used; systems that are in memory have been checked."""
    stream = counted(systems, "Sample", len(systems))
    read = (system if system.in_memory else check(in_memory(system)) for system in stream)
    return [system for system in read if len(system)]
