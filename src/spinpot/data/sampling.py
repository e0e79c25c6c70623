"""Assigns frames to batches. The result depends on seed and step only, so that any run can be resumed."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Sampler


@dataclass(eq=False)
class ShuffledBatches(Sampler[list[int]]):
    """Batches `first` to `total` of the endless stream of shuffled passes over a data set.

    Each pass is a permutation drawn from (seed, pass). A batch may span two passes, so that all batches have
    the same size. The global batch has batch_size frames per process, but no frame twice; each process takes
    every world_size-th frame of it, which may be none.
    """

    n_frames: int
    batch_size: int
    seed: int
    first: int
    total: int
    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        self.batch_size = min(self.batch_size * self.world_size, self.n_frames)

    def __len__(self) -> int:
        # Lightning counts batches from the start of the run, also after resuming.
        return self.total

    def __iter__(self) -> Iterator[list[int]]:
        position = self.first * self.batch_size
        current_pass, order = -1, np.empty(0, dtype=np.int64)
        for _ in range(self.first, self.total):
            batch: list[int] = []
            while len(batch) < self.batch_size:
                which, start = divmod(position, self.n_frames)
                if which != current_pass:
                    random = np.random.default_rng([self.seed, which])
                    current_pass, order = which, random.permutation(self.n_frames)
                taken = order[start : start + self.batch_size - len(batch)]
                batch.extend(taken.tolist())
                position += len(taken)
            yield batch[self.rank :: self.world_size]


class NumberedBatches(Sampler[list[tuple[int, int]]]):
    """The batches of ShuffledBatches; each frame comes with its sample number in the whole stream.

    The number does not depend on the number of processes, so that random numbers drawn from it are as
    reproducible as the order of the frames.
    """

    def __init__(self, batches: ShuffledBatches) -> None:
        self.batches = batches
        self.batch_size = batches.batch_size

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        stream = self.batches
        for batch, indices in enumerate(stream, start=stream.first):
            first = batch * stream.batch_size + stream.rank
            yield [(index, first + k * stream.world_size) for k, index in enumerate(indices)]


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
