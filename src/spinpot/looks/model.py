"""Checks frames against a model: moments that it ignores, outside its training range, or near zero."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from spinpot.core.vectors import largest
from spinpot.data.cell import volume
from spinpot.data.systems import System
from spinpot.models.spec import Spec
from spinpot.models.training_facts import TrainingFacts

BEYOND = 0.01  # moments may exceed the training range by this fraction of its greatest |S|,
SMALLEST = 1e-3  # and by this in any case, μ_B
SMALLEST_LABEL = 1e-4  # eV/μ_B; smaller magnetic forces count as none


FAR, USUAL = 12.0, 6.0  # Å


def far_cutoff(cutoff: float, systems: Sequence[System]) -> str:
    """A line on a cutoff (Å) above FAR: the expected neighbours in the densest crystal; else empty."""
    crystals = [system for system in systems if all(system.pbc)]
    if cutoff <= FAR or not crystals:
        return ""
    density = max(system.n_atoms / volume(np.asarray(system.box[0])) for system in crystals)
    many, usual = (4 / 3 * np.pi * radius**3 * density for radius in (cutoff, USUAL))
    return (
        f"the cutoff of {cutoff:g} Å is unusually large: an atom has about {many:,.0f} neighbours, "
        f"{many / usual:,.0f} times as many as within {USUAL:g} Å. Time and memory of a step grow with them."
    )


class Watch:
    """Warns once of every property of the frames that the model cannot describe.

    facts: on the model's training frames; None if unknown, and then the range of moments is not checked.
    """

    def __init__(self, spec: Spec, facts: TrainingFacts | None) -> None:
        self.spec = spec
        self.facts = facts
        self._said: set[tuple[str, str]] = set()

    def new(self, systems: Sequence[System]) -> list[str]:
        """Lines on these frames that have not been returned before."""
        beyond = [line for element, line in self.beyond(systems) if self.first("beyond", element)]
        return [*self.unused(systems), *beyond]

    def unused(self, systems: Sequence[System]) -> list[str]:
        """Lines on moments that the model ignores or cannot describe well."""
        lost = ignored(self.spec, systems).items()
        new = {element: sizes for element, sizes in sorted(lost) if self.first("ignored", element)}
        small = [line for e, line in self.spec.ill_posed(self.facts, systems) if self.first("ill posed", e)]
        return [*ignored_in_words(self.spec, new), *small]

    def beyond(self, systems: Sequence[System]) -> Iterator[tuple[str, str]]:
        """(element, line) for elements whose |S| leaves the training range."""
        for element, (least, greatest) in (self.facts.moments if self.facts else {}).items():
            margin = max(BEYOND * greatest, SMALLEST)
            lengths = [_frame_ranges(system, element) for system in systems if element in system.type_map]
            ranges = np.concatenate([np.zeros((0, 2)), *lengths])
            outside = (ranges[:, 0] < least - margin) | (ranges[:, 1] > greatest + margin)
            if outside.any():
                yield (
                    element,
                    f"|S| of {element} leaves the training range, {least:.3f} to {greatest:.3f} μ_B: "
                    f"{ranges[:, 0].min():.3f} to {ranges[:, 1].max():.3f} μ_B, in {outside.sum()} of "
                    f"{len(outside)} frames. The model extrapolates there.",
                )

    def first(self, topic: str, element: str = "") -> bool:
        """Whether this topic is new for this element."""
        new = (topic, element) not in self._said
        self._said.add((topic, element))
        return new


def ignored(spec: Spec, systems: Sequence[System]) -> dict[str, tuple[float, float]]:
    """{element: largest |S| (μ_B) and magnetic force (eV/μ_B)} of elements without spin in the model."""
    found: dict[str, tuple[float, float]] = {}
    for system in systems:
        for kind in np.unique(system.types):
            if spec.use_spin[kind]:
                continue
            own = system.types == kind
            moment = largest(system.spin[:, own])
            force = 0.0 if system.force_mag is None else largest(system.force_mag[:, own])
            force = force if force > SMALLEST_LABEL else 0.0
            if moment or force:
                element = spec.type_map[kind]
                known = found.get(element, (0.0, 0.0))
                found[element] = (max(known[0], moment), max(known[1], force))
    return found


def ignored_in_words(spec: Spec, found: Mapping[str, tuple[float, float]]) -> list[str]:
    """Lines on ignored moments, and on ignored labels of elements without moments."""
    only = f"the model treats only {' '.join(spec.magnetic_elements)} as magnetic"
    labels = {name: f"{name} up to {1000 * force:.3g} meV/μ_B" for name, (_, force) in found.items() if force}
    moments = {name: f"{name} up to {moment:.3g} μ_B" for name, (moment, _) in found.items() if moment}
    lines = []
    if moments:
        lost = ", ".join(text for name, text in labels.items() if name in moments)
        so = f" The labels of their magnetic forces are ignored too ({lost})." if lost else ""
        lines.append(
            f"the moments of {' '.join(moments)} are ignored: {only} ({', '.join(moments.values())}).{so} "
            "Set them to zero, or train with them in use_spin."
        )
    if alone := [name for name in labels if name not in moments]:
        sizes = ", ".join(labels[name] for name in alone)
        lines.append(
            f"the labels of magnetic forces on {' '.join(alone)} are ignored: {only}, and the moments there "
            f"are zero ({sizes}). Check whether these moments were lost."
        )
    return lines


def _frame_ranges(system: System, element: str) -> np.ndarray:
    """The least and the greatest |S| of an element in each frame, (F, 2); no rows if it does not occur."""
    own = system.types == system.type_map.index(element)
    if not own.any():
        return np.zeros((0, 2))
    length = np.linalg.norm(system.spin[:, own], axis=-1)
    return np.stack((length.min(axis=1), length.max(axis=1)), axis=1)
