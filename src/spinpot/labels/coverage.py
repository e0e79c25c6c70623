"""The range covered by labelled frames: angles between neighbouring moments, lengths, distances, energies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase.neighborlist import neighbor_list

from spinpot.audit.moments import tilts
from spinpot.labels.configuration import Array, Configuration
from spinpot.labels.directions import angles_between
from spinpot.labels.folder import LabelFolder, Labelled
from spinpot.labels.neighbours import neighbours, shortest
from spinpot.report.plots import histogram, one_panel
from spinpot.report.style import Figure, ink, literal

BINS = 40
MOST_NAMES = 6  # largest number of systems with a colour of their own
FARTHEST = 2.0  # distances up to this multiple of the shortest one are drawn


@dataclass(frozen=True)
class Coverage:
    """The coverage of one system: angles between neighbours (degrees) and distances (Å), over all frames.

    tilts: (F,), degrees, the largest tilt of each frame from its nearest collinear axis. energies: (F,), eV
    per atom. failed: the largest target tilts of the frames that failed.
    """

    angles: Array
    distances: Array
    tilts: Array
    energies: Array
    failed: Array


def coverage_of(own: LabelFolder, system: str) -> Coverage:
    """The coverage of a system's frames, without the left-out ones."""
    kept = own.kept(system)
    failed = [job.configuration for job in own.systems[system] if job.failed]
    return Coverage(
        angles=_joined([_angles(one) for one in kept]),
        distances=_joined([_distances(one) for one in kept]),
        tilts=np.array([_tilt(one.configuration, one.label.moments) for one in kept]),
        energies=np.array([one.label.energy / len(one.configuration.atoms) for one in kept]),
        failed=np.array([_tilt(one, one.moments) for one in failed]),
    )


def _tilt(configuration: Configuration, moments: Array) -> float:
    """The largest tilt of the atoms with a target moment."""
    return float(tilts(moments[None, configuration.moments.any(axis=1)]).max(initial=0.0))


def _angles(one: Labelled) -> Array:
    magnetic = np.asarray(one.configuration.moments.any(axis=1))
    return angles_between(one.label.moments, neighbours(one.configuration.atoms, magnetic))


def _distances(one: Labelled) -> Array:
    atoms = one.configuration.atoms
    return np.asarray(neighbor_list("d", atoms, FARTHEST * shortest(atoms)))


def _joined(parts: Sequence[Array]) -> Array:
    return np.concatenate([np.empty(0), *parts])


def angles_figure(covered: Mapping[str, Coverage]) -> Figure:
    """Histogram of the angles between neighbouring moments."""
    return _counts(_joined([one.angles for one in covered.values()]), "angle between neighbours (°)", "pairs")


def distances_figure(covered: Mapping[str, Coverage]) -> Figure:
    """Histogram of the distances between two atoms."""
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
    """Energies above the lowest of the same composition against the largest tilt; crosses: failed frames."""
    figure, axes = one_panel()
    for number, (name, one) in enumerate(covered.items()):
        above = 1000.0 * (one.energies - lowest[name])
        axes.plot(
            one.tilts,
            above,
            ".",
            color=f"C{number % MOST_NAMES}",
            markersize=4,
            alpha=0.7,
            rasterized=True,
            label=literal(name),
        )
    if 1 < len(covered) <= MOST_NAMES:
        axes.legend(frameon=False, fontsize=8, handletextpad=0.1)
    for one in covered.values():
        axes.plot(one.failed, np.zeros(len(one.failed)), "x", color=ink(), markersize=5, clip_on=False)
    axes.set(xlabel="largest tilt of a frame (°)", ylabel="energy (meV/atom)", xlim=(0, None))
    return figure
