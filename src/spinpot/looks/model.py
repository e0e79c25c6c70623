"""Frames beside a model: moments it does not use, has not seen, or that are near zero."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from spinpot.core.vectors import largest
from spinpot.data.systems import System
from spinpot.models.spec import Spec
from spinpot.models.training_facts import TrainingFacts

BEYOND = 0.01  # of the greatest |S| of training, by which moments may leave its range
SMALLEST = 1e-3  # μ_B; a range is not left by less
SMALLEST_LABEL = 1e-4  # eV/μ_B; smaller magnetic forces count as none


class Watch:
    """Says of the frames a model is used on what they have that it cannot know, each thing once.

    facts: of the model's training; None where they are not known, and then no range is left.
    """

    def __init__(self, spec: Spec, facts: TrainingFacts | None) -> None:
        self.spec = spec
        self.facts = facts
        self._said: set[tuple[str, str]] = set()

    def new(self, systems: Sequence[System]) -> list[str]:
        """The lines about these frames that were not said before."""
        beyond = [line for element, line in self.beyond(systems) if self.first("beyond", element)]
        return [*self.unused(systems), *beyond]

    def unused(self, systems: Sequence[System]) -> list[str]:
        """Moments that the model ignores, and those that it cannot treat well."""
        lost = ignored(self.spec, systems).items()
        new = {element: sizes for element, sizes in sorted(lost) if self.first("ignored", element)}
        small = [line for e, line in self.spec.ill_posed(self.facts, systems) if self.first("ill posed", e)]
        return [*ignored_in_words(self.spec, new), *small]

    def beyond(self, systems: Sequence[System]) -> Iterator[tuple[str, str]]:
        """Elements whose |S| leaves the range of training, and what to say of each."""
        for element, (least, greatest) in (self.facts.moments if self.facts else {}).items():
            margin = max(BEYOND * greatest, SMALLEST)
            lengths = [_frame_ranges(system, element) for system in systems if element in system.type_map]
            ranges = np.concatenate([np.zeros((0, 2)), *lengths])
            outside = (ranges[:, 0] < least - margin) | (ranges[:, 1] > greatest + margin)
            if outside.any():
                yield (
                    element,
                    f"|S| of {element} leaves the range of training, {least:.3f} to {greatest:.3f} μ_B: "
                    f"{ranges[:, 0].min():.3f} to {ranges[:, 1].max():.3f} μ_B, in {outside.sum()} of "
                    f"{len(outside)} frames. The model extrapolates there.",
                )

    def first(self, topic: str, element: str = "") -> bool:
        """Whether this was not said before."""
        new = (topic, element) not in self._said
        self._said.add((topic, element))
        return new


def ignored(spec: Spec, systems: Sequence[System]) -> dict[str, tuple[float, float]]:
    """Elements without spin in the model that have moments or their forces: the largest, μ_B and eV/μ_B."""
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
    """What is lost of some elements: of those with moments, and of those with labels alone."""
    only = f"the model has spins of {' '.join(spec.magnetic_elements)} only"
    labels = {name: f"{name} up to {1000 * force:.3g} meV/μ_B" for name, (_, force) in found.items() if force}
    moments = {name: f"{name} up to {moment:.3g} μ_B" for name, (moment, _) in found.items() if moment}
    lines = []
    if moments:
        lost = ", ".join(text for name, text in labels.items() if name in moments)
        so = f" So are the labels of their magnetic forces ({lost})." if lost else ""
        lines.append(
            f"the moments of {' '.join(moments)} are ignored: {only} ({', '.join(moments.values())}).{so} "
            "Set them to zero, or train with them in use_spin."
        )
    if alone := [name for name in labels if name not in moments]:
        sizes = ", ".join(labels[name] for name in alone)
        lines.append(
            f"the labels of magnetic forces on {' '.join(alone)} are ignored: {only}, and the moments there "
            f"are zero ({sizes}). Look whether these moments were lost."
        )
    return lines


def _frame_ranges(system: System, element: str) -> np.ndarray:
    """The least and the greatest |S| of an element in each frame, (F, 2); no rows where it does not occur."""
    own = system.types == system.type_map.index(element)
    if not own.any():
        return np.zeros((0, 2))
    length = np.linalg.norm(system.spin[:, own], axis=-1)
    return np.stack((length.min(axis=1), length.max(axis=1)), axis=1)
