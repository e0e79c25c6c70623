"""Chooses uncertain, diverse frames of an exploration as configurations to be labelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ase import Atoms

from spinpot.labels.configuration import Configuration
from spinpot.learning.choose import spread_out
from spinpot.learning.explore import Trajectory, bare
from spinpot.learning.score import Judge

MOST = 500
"""Number of candidates compared with each other; if there are more, those with the largest scores."""


@dataclass(frozen=True)
class Candidate:
    """A frame that may be labelled, by the numbers of its trajectory and frame.

    like: a configuration of the same system.
    """

    trajectory: int
    frame: int
    score: float
    atoms: Atoms
    like: Configuration


def candidates(explored: Sequence[Trajectory], systems: Mapping[str, Configuration]) -> list[Candidate]:
    """Frames whose score is above 1, most uncertain first. systems: one configuration of each system."""
    found = [
        Candidate(number, frame, float(score), one.atoms(frame, systems[one.system]), systems[one.system])
        for number, one in enumerate(explored)
        for frame, score in enumerate(one.scores)
        if score > 1.0
    ]
    return sorted(found, key=lambda one: (-one.score, one.trajectory, one.frame))[:MOST]


def chosen(
    judge: Judge, found: Sequence[Candidate], known: Sequence[Configuration], number: int
) -> list[Candidate]:
    """Choose up to `number` candidates. known: all configurations given to the labeller, also failed ones."""
    environments = [judge.environments(one.atoms) for one in found]
    there = [one for one in environments if one is not None]
    if len(there) < len(found):  # the model provides no features
        return in_turn(found, number)
    labelled = [judge.environments(with_moments(one)) for one in known]
    scores = np.array([one.score for one in found])
    return [found[k] for k in spread_out(scores, there, [one for one in labelled if one], number)]


def in_turn(found: Sequence[Candidate], number: int) -> list[Candidate]:
    """Up to `number` candidates: first the most uncertain of each trajectory, then the second, and so on."""
    counts: dict[int, int] = {}
    places = []
    for one in found:
        place = counts[one.trajectory] = counts.get(one.trajectory, -1) + 1
        places.append(place)
    order = sorted(range(len(found)), key=lambda k: places[k])
    return [found[k] for k in order[:number]]


def with_moments(configuration: Configuration) -> Atoms:
    """The atoms of a configuration with its target moments."""
    atoms = bare(configuration)
    atoms.set_initial_magnetic_moments(configuration.moments)
    return atoms


def to_label(found: Sequence[Candidate]) -> list[Configuration]:
    """Configurations of the chosen candidates, numbered within each system in the order of choice."""
    counts: dict[str, int] = {}
    made = []
    for one in found:
        system = one.like.system
        number = counts[system] = counts.get(system, -1) + 1
        made.append(
            replace(
                one.like,
                name=f"{system}/{number:04d}",
                atoms=without_moments(one.atoms),
                moments=one.atoms.get_initial_magnetic_moments(),
            )
        )
    return made


def without_moments(atoms: Atoms) -> Atoms:
    """A copy of the atoms without moments."""
    return Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)


def as_record(found: Sequence[Candidate]) -> dict[str, Any]:
    """The contents of chosen.json: the configurations, and the trajectory, frame and score of each."""
    return {
        "configurations": [one.as_plain() for one in to_label(found)],
        "from": [{"trajectory": one.trajectory, "frame": one.frame, "score": one.score} for one in found],
    }
