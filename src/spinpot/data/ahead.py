"""Prefetches batches: threads make the next ones while training steps run."""

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

LOOKED_AT = 100  # batches that are timed
MUCH = 0.1  # share of a step's time: a line is printed if waiting takes more


class BatchesAhead(DataLoader[Any]):
    """A DataLoader whose threads prefetch the batches, in order.

    threads: their number, which is also the number of batches prefetched; 0: each batch is made when it is
    requested. device: where the batches are used. watched: print a line if steps wait long for batches.
    An error in a thread is raised when its batch is requested.
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
        """The batches; prints a line if waiting for them, with the processor idle, takes much of a step."""
        yield from islice(batches, 1)  # the first one also reads what is read only once
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
                f"look: each step spends {100 * share:.0f} % of its time waiting for frames. Raise "
                f"data.num_workers (now {self.threads}), so that more threads read ahead."
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
        """Select the device: PyTorch keeps it per thread, and a new thread starts with GPU 0."""
        if self.pin_memory:
            torch.cuda.set_device(self.device)

    def _made(self, numbers: list[Any]) -> Any:
        batch = self.collate_fn([self.dataset[number] for number in numbers])
        return batch.pin_memory() if self.pin_memory else batch
