"""Batches that are made while the steps before them run."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from statistics import median
from time import perf_counter, thread_time
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from spinpot.core.console import print_line

LOOKED_AT = 100  # batches
MUCH = 0.1  # of the time, that is worth a line


class BatchesAhead(DataLoader[Any]):
    """A DataLoader whose batches are made by threads, in their order; without any each when it is asked for.

    threads: as many batches are ahead. device: that the batches go to. watched: whether it is said if much of
    the time goes into waiting for batches. An error in a thread is raised where its batch is asked for.
    """

    def __init__(
        self, frames: Dataset[Any], threads: int, device: torch.device, watched: bool = False, **options: Any
    ) -> None:
        super().__init__(frames, pin_memory=device.type == "cuda", **options)
        self.threads, self.device, self.watched = threads, device, watched

    def __iter__(self) -> Any:
        batches = self._ahead() if self.threads else super().__iter__()
        return self._timed(batches) if self.watched else batches

    def _timed(self, batches: Iterator[Any]) -> Iterator[Any]:
        """The batches; whether most were waited for, the processor idle, for much of the time of a step."""
        yield from islice(batches, 1)  # waits for what is read once
        shares = []
        for _ in range(LOOKED_AT):
            began, busy = perf_counter(), thread_time()
            some = list(islice(batches, 1))
            idle = perf_counter() - began - (thread_time() - busy)
            if not some:
                return
            yield from some
            shares.append(idle / (perf_counter() - began))
        if (share := median(shares)) > MUCH:
            print_line(
                f"look: {100 * share:.0f} % of the time of a step goes into waiting for frames to be read. "
                f"More threads would read them while steps run: data.num_workers is {self.threads}."
            )
        yield from batches

    def _ahead(self) -> Iterator[Any]:
        assert self.batch_sampler is not None
        numbers = iter(self.batch_sampler)
        with ThreadPoolExecutor(self.threads, initializer=self._begin) as pool:
            coming = deque(pool.submit(self._made, some) for some in islice(numbers, self.threads))
            while coming:
                batch = coming.popleft().result()
                coming.extend(pool.submit(self._made, some) for some in islice(numbers, 1))
                yield batch

    def _begin(self) -> None:
        """Each thread has a device of its own, at first GPU 0."""
        if self.pin_memory:
            torch.cuda.set_device(self.device)

    def _made(self, numbers: list[Any]) -> Any:
        batch = self.collate_fn([self.dataset[number] for number in numbers])
        return batch.pin_memory() if self.pin_memory else batch
