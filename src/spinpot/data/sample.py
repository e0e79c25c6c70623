"""Draws samples of large sets. A model's statistics come from a sample, not from every frame."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from spinpot.core.shares import ALONE, Processes, shared
from spinpot.data.broken import Broken
from spinpot.data.readers.deepmd.rows import CHUNK
from spinpot.data.systems import System, in_memory, part_of

STREAM = 2  # makes these random numbers independent of those that order frames and rotate spins


def sample_of(
    systems: Sequence[System],
    most: int,
    seed: int,
    broken: Broken | None = None,
    processes: Processes = ALONE,
) -> list[System]:
    """The drawn frames of the systems, in memory and checked.

    most: number of frames. broken: handles frames that cannot be used; by default they raise InputError.
    processes: those of the run; each reads and checks a share of the frames.
    """
    broken = broken or Broken()
    chosen = drawn(systems, most, seed)
    if all(system.in_memory for system in chosen):  # they have been checked
        return list(chosen)

    def checked(system: System) -> tuple[System, dict[int, str]]:
        return (read := in_memory(system)), broken.within(read)

    found = shared(checked, chosen, "Sample", processes)
    read = (broken.without(system, wrong) for system, wrong in found)
    return [system for system in read if len(system)]


def with_energies(systems: Sequence[System], processes: Processes = ALONE) -> list[System]:
    """The systems with all their energies in memory. Each process reads a share."""
    labelled = [system for system in systems if system.energy is not None]
    found = iter(shared(_energies, labelled, "Energies", processes))
    return [system if system.energy is None else replace(system, energy=next(found)) for system in systems]


def _energies(system: System) -> np.ndarray:
    assert system.energy is not None
    return np.asarray(system.energy[:])


def drawn(systems: Sequence[System], most: int, seed: int) -> Sequence[System]:
    """The systems with `most` of their frames, drawn at random; unchanged if they have no more frames.

    For each element and each label that no drawn frame has, one more frame is added. Nothing is read yet.
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
    """The system in memory. Of a system on disk, at most `most` frames are read, evenly spaced."""
    if system.in_memory:
        return system
    frames = np.unique(np.linspace(0, len(system) - 1, min(len(system), most)).astype(int))
    return in_memory(part_of(system, frames))


def _holds(system: System) -> set[str | int]:
    """The labels of a system, and its elements as type numbers."""
    return {*system.labels, *np.unique(system.types).tolist()}
