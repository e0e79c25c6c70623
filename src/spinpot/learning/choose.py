"""Choose which of many uncertain frames to label: frames of large scores, as different as possible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from spinpot.labels.configuration import Array

SAME = 1e-6
"""Distance of features, in parts of their usual size, below which two frames are one."""


@dataclass(frozen=True)
class Environments:
    """The atoms of a frame as the model sees them: elements (N,) and features (N, P)."""

    types: np.ndarray
    features: Array


def spread_out(
    scores: Array, candidates: Sequence[Environments], known: Sequence[Environments], number: int
) -> list[int]:
    """Choose up to `number` candidates, one after the other the one of largest score × novelty.

    scores: (C,), how uncertain each is. known: the frames that have labels. The novelty of a frame is the
    root mean square, over its atoms, of the distance to the closest atom of the same element in frames that
    are known or chosen. Frames without novelty are never chosen.
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
    """The distance of each atom of some frames to the closest one that is known."""

    def __init__(self, frames: Sequence[Environments]) -> None:
        self.types = np.concatenate([np.empty(0, dtype=int), *(one.types for one in frames)])
        self.features = np.concatenate([one.features for one in frames]) if frames else np.empty((0, 1))
        self.frame = np.repeat(np.arange(len(frames)), [len(one.types) for one in frames])
        self.atoms = np.bincount(self.frame, minlength=len(frames))
        self.size = float(np.sqrt(np.square(self.features).sum(axis=1).mean())) if len(self.features) else 0.0
        self.square = np.full(len(self.types), (100.0 * self.size) ** 2)  # as long as nothing is known

    def add(self, known: Environments) -> None:
        """Take the atoms of one more frame into account."""
        for kind in np.unique(known.types):
            own = self.types == kind
            if own.any():
                distances = cdist(self.features[own], known.features[known.types == kind], "sqeuclidean")
                self.square[own] = np.minimum(self.square[own], distances.min(axis=1))

    def novelty(self) -> Array:
        """(F,), of each frame."""
        return np.asarray(np.sqrt(np.bincount(self.frame, self.square, len(self.atoms)) / self.atoms))
