"""Training frames whose spins are reversed or turned at random, positions staying: symmetries of the data.

Only pairs with virtual atoms change. A frame's pairs are those of every direction of its spins
(Geometry.any_direction), so no neighbour is looked for again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation
from torch.utils.data import Dataset

from spinpot.data.batch import Frame
from spinpot.data.dataset import FrameDataset

STREAM = 1
"""Keeps these random numbers apart from those that order the frames."""


@dataclass(frozen=True)
class SpinTurns:
    """What is drawn for each training sample, from the seed and its number: a sign, a rotation, or both."""

    reversal: bool
    rotation: bool
    seed: int

    def draw(self, number: int) -> np.ndarray:
        """(3, 3), orthogonal: what turns the spins of a sample."""
        random = np.random.default_rng([self.seed, number, STREAM])
        sign = random.choice((-1.0, 1.0)) if self.reversal else 1.0
        matrix = Rotation.random(random_state=random).as_matrix() if self.rotation else np.eye(3)
        return sign * matrix


class TurnedFrames(Dataset[Frame]):
    """The frames of a data set by (index, number of the sample), their spins turned.

    virtual_scale: η of every element, Å/μ_B. The data set's pairs must be those of any direction.
    """

    def __init__(self, frames: FrameDataset, turns: SpinTurns, virtual_scale: tuple[float, ...]) -> None:
        self.frames = frames
        self.turns = turns
        self.virtual_scale = np.array(virtual_scale)

    def __getitem__(self, sample: tuple[int, int]) -> Frame:
        index, number = sample
        return turned(self.frames[index], self.turns.draw(number), self.virtual_scale)


def turned(frame: Frame, turn: np.ndarray, virtual_scale: np.ndarray) -> Frame:
    """A frame with spins and magnetic forces multiplied by an orthogonal matrix (3, 3).

    virtual_scale: (T,), η of every element, Å/μ_B. The energy, of which nothing is asked here, is kept.
    """
    spin = frame.spin @ turn.T
    scale = np.concatenate((np.zeros_like(virtual_scale), virtual_scale))
    move = (spin - frame.spin)[frame.pair_neighbour] * scale[frame.pair_type][:, None]
    return replace(frame, spin=spin, force_mag=frame.force_mag @ turn.T, pair_vector=frame.pair_vector + move)
