"""Augments training frames by symmetry: random spin reversal or spin rotation at fixed positions."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation
from torch.utils.data import Dataset

from spinpot.data.batch import Frame
from spinpot.data.dataset import FrameDataset

STREAM = 1  # makes these random numbers independent of those that shuffle the frames


@dataclass(frozen=True)
class SpinTurns:
    """Draws a sign, a rotation, or both for each training sample, from the seed and the sample's number."""

    reversal: bool
    rotation: bool
    seed: int

    def draw(self, number: int) -> np.ndarray:
        """The orthogonal matrix (3, 3) that is applied to the spins of a sample."""
        random = np.random.default_rng([self.seed, number, STREAM])
        sign = random.choice((-1.0, 1.0)) if self.reversal else 1.0
        matrix = Rotation.random(random_state=random).as_matrix() if self.rotation else np.eye(3)
        return sign * matrix


class TurnedFrames(Dataset[Frame | None]):
    """The frames of a data set with transformed spins, indexed by (index, sample number)."""

    def __init__(self, frames: FrameDataset, turns: SpinTurns) -> None:
        self.frames = frames
        self.turns = turns

    def __getitem__(self, sample: tuple[int, int]) -> Frame | None:
        index, number = sample
        frame = self.frames[index]
        return frame and turned(frame, self.turns.draw(number))


def turned(frame: Frame, turn: np.ndarray) -> Frame:
    """A frame with spins and magnetic forces multiplied by an orthogonal matrix (3, 3)."""
    return replace(frame, spin=frame.spin @ turn.T, force_mag=frame.force_mag @ turn.T)
