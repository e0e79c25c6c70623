"""A sample of the frames of large sets: what shapes a model is taken from it, not from every frame."""

from collections.abc import Callable, Sequence

import numpy as np

from spinpot.core.console import counted
from spinpot.data.broken import Broken
from spinpot.data.readers.deepmd.rows import CHUNK
from spinpot.data.systems import System, in_memory, part_of

STREAM = 2  # keeps these random numbers apart from those that order the frames and turn spins


def sample_of(
    systems: Sequence[System], most: int, seed: int, check: Callable[[System], System] | None = None
) -> list[System]:
    """The systems with the drawn frames, in memory and checked.

    check: as for read_systems; without it a frame that cannot be used raises InputError.
    """
    check = check or Broken().without
    stream = counted(chosen := drawn(systems, most, seed), "Sample", len(chosen))
    read = (system if system.in_memory else check(in_memory(system)) for system in stream)
    return [system for system in read if len(system)]


def drawn(systems: Sequence[System], most: int, seed: int) -> Sequence[System]:
    """At most so many frames of the systems, which are not read yet; the systems, if they have no more.

    They are drawn at random, and one more for each element and each label that none of these has.
    """
    sizes = np.array([len(system) for system in systems])
    if sizes.sum() <= most:
        return systems
    numbers = np.sort(np.random.default_rng([seed, STREAM]).choice(int(sizes.sum()), most, replace=False))
    place = np.searchsorted(sizes.cumsum(), numbers, side="right")
    starts, used = sizes.cumsum() - sizes, np.unique(place)
    parts = np.split(numbers, np.flatnonzero(np.diff(place)) + 1)
    chosen = {int(k): part - starts[k] for k, part in zip(used, parts, strict=True)}
    known = {thing for k in chosen for thing in _holds(systems[k])}
    for k, system in enumerate(systems):
        if k not in chosen and not _holds(system) <= known:
            chosen[k] = np.zeros(1, dtype=np.int64)
            known |= _holds(system)
    return [part_of(systems[k], chosen[k]) for k in sorted(chosen)]


def thinned(system: System, most: int = CHUNK) -> System:
    """The system in memory; of one that is stored at most so many frames, evenly spaced."""
    if system.in_memory:
        return system
    frames = np.unique(np.linspace(0, len(system) - 1, min(len(system), most)).astype(int))
    return in_memory(part_of(system, frames))


def _holds(system: System) -> set[str | int]:
    """Its labels, and its elements by their numbers."""
    return {*system.labels, *np.unique(system.types).tolist()}
