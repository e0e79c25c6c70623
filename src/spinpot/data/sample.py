"""A sample of the frames of large sets: what shapes a model is taken from it, not from every frame."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from spinpot.core.shares import ALONE, Processes, shared
from spinpot.data.broken import Broken
from spinpot.data.readers.deepmd.rows import CHUNK
from spinpot.data.systems import System, in_memory, part_of

STREAM = 2  # keeps these random numbers apart from those that order the frames and turn spins


def sample_of(
    systems: Sequence[System],
    most: int,
    seed: int,
    broken: Broken | None = None,
    processes: Processes = ALONE,
) -> list[System]:
    """The systems with the drawn frames, in memory and checked.

    broken: what becomes of frames that cannot be used; by default they raise InputError. processes: that read
    and check the frames in shares.
    """
    broken = broken or Broken()
    chosen = drawn(systems, most, seed)
    if all(system.in_memory for system in chosen):  # they have been checked
        return list(chosen)
    found = shared(partial(_checked, broken), chosen, "Sample", processes)
    read = (broken.without(system, wrong) for system, wrong in found)
    return [system for system in read if len(system)]


def _checked(broken: Broken, system: System) -> tuple[System, dict[int, str]]:
    """The system in memory, and its broken frames."""
    return (read := in_memory(system)), broken.within(read)


def with_energies(systems: Sequence[System], processes: Processes = ALONE) -> list[System]:
    """The systems with all their energies in memory, which the processes read in shares."""
    labelled = [system for system in systems if system.energy is not None]
    found = iter(shared(_energies, labelled, "Energies", processes))
    return [system if system.energy is None else replace(system, energy=next(found)) for system in systems]


def _energies(system: System) -> np.ndarray:
    assert system.energy is not None
    return np.asarray(system.energy[:])


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
