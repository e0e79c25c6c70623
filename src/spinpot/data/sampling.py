"""Which frames make which batch: a function of seed and step alone, so that any run can be resumed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler


class ShuffledBatches(Sampler[list[int]]):
    """Batches `first` to `total` of the endless stream of shuffled passes over a data set.

    Each pass is a permutation of its own, drawn from (seed, pass); a batch may span two passes, so that all
    batches have the same size.
    """

    def __init__(self, n_frames: int, batch_size: int, seed: int, first: int, total: int) -> None:
        self.n_frames = n_frames
        self.batch_size = min(batch_size, n_frames)
        self.seed = seed
        self.first = first
        self.total = total

    def __len__(self) -> int:
        # Lightning counts batches from the run's beginning, resumed or not.
        return self.total

    def __iter__(self) -> Iterator[list[int]]:
        position = self.first * self.batch_size
        current_pass, order = -1, np.empty(0, dtype=np.int64)
        for _ in range(self.first, self.total):
            batch: list[int] = []
            while len(batch) < self.batch_size:
                which, start = divmod(position, self.n_frames)
                if which != current_pass:
                    current_pass, order = which, self._permutation(which)
                taken = order[start : start + self.batch_size - len(batch)]
                batch.extend(taken.tolist())
                position += len(taken)
            yield batch

    def _permutation(self, which: int) -> np.ndarray:
        return np.random.default_rng([self.seed, which]).permutation(self.n_frames)
