"""All quick checks of a run's sets or an evaluation's frames, as lines that begin with `look:`."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from spinpot.core.notes import Notes
from spinpot.data.duplicates import SAME, Copy
from spinpot.data.sample import sample_of
from spinpot.data.systems import SAMPLE, System
from spinpot.looks.labels import close_looks, label_looks
from spinpot.looks.model import Watch
from spinpot.looks.precision import precision_looks
from spinpot.looks.units import FRAMES, unit_looks

NEAREST_SAMPLE = 400
"""Frames over all systems in which nearest-neighbour distances are checked."""
CLOSE_SAMPLE = 10_000  # most frames that are searched for atoms closer than any bond


def look_at_sets(sets: Mapping[str, Sequence[System]], watch: Watch, found: Iterable[Copy]) -> Notes:
    """Lines on suspicious data in a run's sets, also against `train`. found: copies among all systems."""
    notes = Notes()
    every = [system for systems in sets.values() for system in systems]
    _frames(every, notes)
    for line in watch.unused(every):
        notes.add(f"look: {line}")
    for name, systems in sets.items():
        _precision(systems, notes)
        if name != "train":
            for _, line in watch.beyond(systems):
                notes.add(f"look: {name}: {line}")
            for element in sorted(_elements(systems) - _elements(sets["train"])):
                notes.add(f"look: {name}: no training frame has {element}, so the model cannot describe it.")
    _repeats(sets, found, notes)
    return notes


def look_at(systems: Sequence[System], watch: Watch) -> Notes:
    """Lines on suspicious data in frames that a model is used on."""
    notes = Notes()
    for line in watch.new(_looked_at(systems, notes)):
        notes.add(f"look: {line}")
    return notes


def look_at_frames(systems: Sequence[System]) -> Notes:
    """Lines on suspicious frames, without a model: units, zeros, close atoms, precision of energies."""
    notes = Notes()
    _looked_at(systems, notes)
    return notes


def _looked_at(systems: Sequence[System], notes: Notes) -> Sequence[System]:
    """Check the frames, or a sample of many; returns the checked ones."""
    some = sample_of(systems, SAMPLE, 0)
    every, looked_at = (sum(map(len, own)) for own in (systems, some))
    if looked_at < every:
        notes.add(f"{every:,} frames: the checks use a sample of {looked_at:,}.")
    _frames(some, notes)
    _precision(some, notes)
    return some


def _frames(systems: Sequence[System], notes: Notes) -> None:
    """Checks of frames that need no model."""
    every = -(-len(systems) // NEAREST_SAMPLE)
    for number, system in enumerate(systems):
        few = 0 if number % every else max(1, min(FRAMES, NEAREST_SAMPLE // len(systems)))
        for look in (*unit_looks(system, few), *label_looks(system)):
            look.tell(notes, system.name)
    step = -(-sum(map(len, systems)) // CLOSE_SAMPLE)
    for system in systems:
        for look in close_looks(system, range(0, len(system), step)):
            look.tell(notes, system.name)


def _elements(systems: Sequence[System]) -> set[str]:
    """The elements that have atoms."""
    return {system.type_map[kind] for system in systems for kind in np.unique(system.types)}


def _precision(systems: Sequence[System], notes: Notes) -> None:
    """Check the stored precision of one set's energies."""
    for _, look in precision_looks(systems):
        look.tell(notes)


def _repeats(sets: Mapping[str, Sequence[System]], found: Iterable[Copy], notes: Notes) -> None:
    """Find frames of one set that are also in an earlier set."""
    places = [(name, system) for name, systems in sets.items() for system in systems]
    shared: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    for copy in found:
        name, kept = places[copy.system][0], places[copy.kept_system][0]
        if name != kept:
            shared[name, kept][copy.system] += 1
    for (name, kept), counts in shared.items():
        frames = f"{counts.total()} of {sum(map(len, sets[name]))} frames"
        for place, count in counts.items():
            system = places[place][1]
            notes.add(
                f"look: {frames} of the {name} set are also in the {kept} set (equal within {SAME:g} Å and "
                "μ_B), so that its errors are too small; spinpot prepare splits without duplicates",
                f"{system.name}: {count} of {len(system)}",
            )
