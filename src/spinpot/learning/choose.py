"""Chooses frames to label among many uncertain ones: those with large scores, as different as possible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from spinpot.labels.configuration import Array

SAME = 1e-6
"""Frames are equal if their features differ by less than this fraction of the features' usual size."""


@dataclass(frozen=True)
class Environments:
    """The atoms of a frame as seen by the model: elements (N,) and features (N, P)."""

    types: np.ndarray
    features: Array


def spread_out(
    scores: Array, candidates: Sequence[Environments], known: Sequence[Environments], number: int
) -> list[int]:
    """Choose up to `number` candidates, one by one, each time the one with the largest score × novelty.

    scores: (C,), the candidates' uncertainties. known: the frames with labels. For each atom of a frame, take
    the distance to the closest atom of the same element in known or chosen frames: the frame's novelty is the
    root mean square of these distances. Frames without novelty are never chosen.
    """
    nearest = Nearest(candidates)
    for one in known:
        nearest.add(one)
    least, chosen = SAME * nearest.size, list[int]()
    for _ in range(min(number, len(candidates))):
        novelty = nearest.novelty()
        novelty[chosen] = 0.0
        best = int(np.argmax(np.where(novelty > least, scores * novelty, -1.0)))
        if novelty[best] <= least:
            break
        chosen.append(best)
        nearest.add(candidates[best])
    return chosen


class Nearest:
    """For each atom of some frames, the distance of its features to the closest known atom."""

    def __init__(self, frames: Sequence[Environments]) -> None:
        self.types = np.concatenate([np.empty(0, dtype=int), *(one.types for one in frames)])
        self.features = np.concatenate([one.features for one in frames]) if frames else np.empty((0, 1))
        self.frame = np.repeat(np.arange(len(frames)), [len(one.types) for one in frames])
        self.atoms = np.bincount(self.frame, minlength=len(frames))
        self.size = float(np.sqrt(np.square(self.features).sum(axis=1).mean())) if len(self.features) else 0.0
        self.square = np.full(len(self.types), (100.0 * self.size) ** 2)  # while no atoms are known

    def add(self, known: Environments) -> None:
        """Take the atoms of one more frame into account."""
        for kind in np.unique(known.types):
            own = self.types == kind
            if own.any():
                distances = cdist(self.features[own], known.features[known.types == kind], "sqeuclidean")
                self.square[own] = np.minimum(self.square[own], distances.min(axis=1))

    def novelty(self) -> Array:
        """The novelty of each frame, (F,)."""
        return np.asarray(np.sqrt(np.bincount(self.frame, self.square, len(self.atoms)) / self.atoms))
