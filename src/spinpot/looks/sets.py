"""All cheap checks of the sets of a run or of an evaluation's frames, as lines that begin with `look:`."""

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
"""Frames over all systems in which distances of nearest neighbours are looked at."""
CLOSE_SAMPLE = 10_000  # frames over all systems in which atoms closer than any bond are looked for


def look_at_sets(sets: Mapping[str, Sequence[System]], watch: Watch, found: Iterable[Copy]) -> Notes:
    """What is odd about the sets of a run, also beside `train`. found: the copies among all their systems."""
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
                notes.add(f"look: {name}: no training frame has {element}. The model knows nothing of it.")
    _repeats(sets, found, notes)
    return notes


def look_at(systems: Sequence[System], watch: Watch) -> Notes:
    """What is odd about frames that a model is used on."""
    notes = Notes()
    for line in watch.new(_looked_at(systems, notes)):
        notes.add(f"look: {line}")
    return notes


def look_at_frames(systems: Sequence[System]) -> Notes:
    """What is odd about frames by themselves: units, zeros, close atoms and the precision of energies."""
    notes = Notes()
    _looked_at(systems, notes)
    return notes


def _looked_at(systems: Sequence[System], notes: Notes) -> Sequence[System]:
    """The frames, or a sample of many, by themselves; returns those."""
    some = sample_of(systems, SAMPLE, 0)
    every, looked_at = (sum(map(len, own)) for own in (systems, some))
    if looked_at < every:
        notes.add(f"{every:,} frames: what is said of them comes from a sample of {looked_at:,}.")
    _frames(some, notes)
    _precision(some, notes)
    return some


def _frames(systems: Sequence[System], notes: Notes) -> None:
    """What is odd about frames by themselves."""
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
    """Those that have atoms."""
    return {system.type_map[kind] for system in systems for kind in np.unique(system.types)}


def _precision(systems: Sequence[System], notes: Notes) -> None:
    """Energies of one set whose stored precision matters."""
    for _, look in precision_looks(systems):
        look.tell(notes)


def _repeats(sets: Mapping[str, Sequence[System]], found: Iterable[Copy], notes: Notes) -> None:
    """Frames of one set that are in an earlier one too."""
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
                f"look: {frames} of the {name} set are in the {kept} set too (the same to {SAME:g} Å and "
                "μ_B), so that its errors say too little; spinpot prepare splits without repeats",
                f"{system.name}: {count} of {len(system)}",
            )
