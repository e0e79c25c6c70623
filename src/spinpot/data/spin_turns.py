"""Training frames whose spins are reversed or turned at random, positions staying: symmetries of the data."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation
from torch.utils.data import Dataset

from spinpot.data.batch import Frame
from spinpot.data.dataset import FrameDataset

STREAM = 1  # keeps these random numbers apart from those that order the frames


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


class TurnedFrames(Dataset[Frame | None]):
    """The frames of a data set by (index, number of the sample), their spins turned."""

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
