"""Assigns frames to batches. The result depends on seed and step only, so that any run can be resumed."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from torch.utils.data import Sampler


@dataclass(eq=False)
class ShuffledBatches(Sampler[list[Any]]):
    """Batches `first` to `total` of the endless stream of shuffled passes over a data set.

    Each pass is a permutation drawn from (seed, pass). A batch may span two passes, so that all batches have
    the same size. The global batch has batch_size frames per process, but no frame twice; each process takes
    every world_size-th frame of it, which may be none.

    numbered: each frame comes with its sample number in the whole stream. The number does not depend on the
    number of processes, so that random numbers drawn from it are as reproducible as the order of the frames.
    """

    n_frames: int
    batch_size: int
    seed: int
    first: int
    total: int
    rank: int = 0
    world_size: int = 1
    numbered: bool = False

    def __post_init__(self) -> None:
        self.batch_size = min(self.batch_size * self.world_size, self.n_frames)

    def __len__(self) -> int:
        # Lightning counts batches from the start of the run, also after resuming.
        return self.total

    def __iter__(self) -> Iterator[list[Any]]:
        @lru_cache(1)
        def order(which: int) -> np.ndarray:
            return np.random.default_rng([self.seed, which]).permutation(self.n_frames)

        for start in range(self.first * self.batch_size, self.total * self.batch_size, self.batch_size):
            numbers = range(start, start + self.batch_size)[self.rank :: self.world_size]
            frames = [int(order(number // self.n_frames)[number % self.n_frames]) for number in numbers]
            yield list(zip(frames, numbers, strict=True)) if self.numbered else frames


class EveryFrameOnce(Sampler[list[int]]):
    """All frames in order; each process takes every world_size-th one.

    A process without frames left gets empty batches: all have equally many, and none waits for another.
    """

    def __init__(self, n_frames: int, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        self.own = list(range(rank, n_frames, world_size))
        self.batch_size = batch_size
        self.most = -(-n_frames // world_size)

    def __len__(self) -> int:
        return -(-self.most // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        for start in range(0, self.most, self.batch_size):
            yield self.own[start : start + self.batch_size]
