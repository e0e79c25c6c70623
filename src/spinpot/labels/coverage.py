"""What labelled frames cover: angles between neighbouring moments, lengths, distances, energies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase.neighborlist import neighbor_list

from spinpot.labels.configuration import Array, Configuration
from spinpot.labels.directions import angles_between
from spinpot.labels.folder import LabelFolder, Labelled
from spinpot.labels.neighbours import neighbours, shortest
from spinpot.report.plots import histogram, one_panel
from spinpot.report.style import Figure, ink

BINS = 40
FARTHEST = 2.0  # times the shortest distance, up to which distances are drawn


@dataclass(frozen=True)
class Coverage:
    """Of one system: angles (degrees) and distances (Å) over all frames; of each frame its largest angle.

    energies: (F,), eV per atom. failed: the largest angles of frames without a label.
    """

    angles: Array
    distances: Array
    largest: Array
    energies: Array
    failed: Array


def coverage_of(own: LabelFolder, system: str) -> Coverage:
    """What the frames of a system cover that are kept."""
    kept = own.kept(system)
    angles = [moment_angles(one.configuration, one.label.moments) for one in kept]
    failed = [job.configuration for job in own.systems[system] if job.failed]
    return Coverage(
        angles=_joined(angles),
        distances=_joined([_distances(one) for one in kept]),
        largest=np.array([one.max(initial=0.0) for one in angles]),
        energies=np.array([one.label.energy / len(one.configuration.atoms) for one in kept]),
        failed=np.array([moment_angles(one, one.moments).max(initial=0.0) for one in failed]),
    )


def moment_angles(configuration: Configuration, moments: Array) -> Array:
    """Degrees between neighbouring moments (N, 3) of those atoms that were to have one."""
    pairs = neighbours(configuration.atoms, np.asarray(configuration.moments.any(axis=1)))
    return angles_between(moments, pairs)


def _distances(one: Labelled) -> Array:
    atoms = one.configuration.atoms
    return np.asarray(neighbor_list("d", atoms, FARTHEST * shortest(atoms)))


def _joined(parts: Sequence[Array]) -> Array:
    return np.concatenate([np.empty(0), *parts])


def angles_figure(covered: Mapping[str, Coverage]) -> Figure:
    """How often which angle between neighbouring moments occurs."""
    return _counts(_joined([one.angles for one in covered.values()]), "angle between neighbours (°)", "pairs")


def distances_figure(covered: Mapping[str, Coverage]) -> Figure:
    """How often which distance of two atoms occurs."""
    values = _joined([one.distances for one in covered.values()])
    return _counts(values, "distance of two atoms (Å)", "pairs, from both ends")


def _counts(values: Array, x: str, y: str) -> Figure:
    figure, axes = one_panel()
    least, most = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    margin = max(1e-6 * most, 1e-3)
    histogram(axes, values, np.linspace(least - margin, most + margin, BINS + 1), ink(), None)
    axes.set(xlabel=x, ylabel=y)
    return figure


def energies_figure(covered: Mapping[str, Coverage], lowest: Mapping[str, float]) -> Figure:
    """Energies above the lowest of the same composition against the largest angle; crosses: failed frames."""
    figure, axes = one_panel()
    for number, (name, one) in enumerate(covered.items()):
        above = 1000.0 * (one.energies - lowest[name])
        axes.plot(one.largest, above, ".", color=f"C{number % 6}", markersize=4, alpha=0.7, rasterized=True)
    for one in covered.values():
        axes.plot(one.failed, np.zeros(len(one.failed)), "x", color=ink(), markersize=5, clip_on=False)
    axes.set(xlabel="largest angle between neighbours (°)", ylabel="energy per atom (meV)", xlim=(0, None))
    return figure
