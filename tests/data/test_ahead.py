"""Batches prefetched by threads are the same in the same order, for any number of threads."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch

from spinpot.core.errors import InputError
from spinpot.data import ahead
from spinpot.data.ahead import BatchesAhead
from spinpot.data.sampling import ShuffledBatches

CPU = torch.device("cpu")


class Numbers:
    """Frames that are their numbers, some of them slow to read; in which thread each was read."""

    def __init__(self, wait: Callable[[int], float] = lambda _: 0.0) -> None:
        self.wait = wait
        self.read: list[int] = []
        self.threads = set[str]()

    def __getitem__(self, number: int) -> int:
        time.sleep(self.wait(number))
        self.read.append(number)
        self.threads.add(threading.current_thread().name)
        if number == 17:
            raise InputError("frame 17 cannot be read")
        return number


def loader(dataset: Any, threads: int, n_frames: int = 10, total: int = 12, **more: Any) -> BatchesAhead:
    order = ShuffledBatches(n_frames, 3, 0, 0, total)
    return BatchesAhead(dataset, threads, CPU, batch_sampler=order, collate_fn=list, **more)


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_batches_are_those_of_the_order(threads: int) -> None:
    dataset = Numbers(lambda number: 0.002 * (number % 3))
    assert list(loader(dataset, threads)) == list(ShuffledBatches(10, 3, 0, 0, 12))
    assert (threading.current_thread().name in dataset.threads) == (threads == 0)


@pytest.mark.parametrize("threads", [1, 2])
def test_as_many_batches_are_ahead_as_there_are_threads(threads: int) -> None:
    dataset = Numbers()
    coming = iter(loader(dataset, threads))
    for asked in (1, 2):
        next(coming)
        expected = 3 * (asked + threads)
        for _ in range(500):
            time.sleep(0.01)
            if len(dataset.read) >= expected:
                break
        time.sleep(0.05)
        assert len(dataset.read) == expected
    coming.close()
    assert not any("ThreadPoolExecutor" in one.name for one in threading.enumerate())


@pytest.mark.parametrize("threads", [0, 2])
def test_an_error_comes_with_its_batch(threads: int) -> None:
    order = list(ShuffledBatches(20, 3, 0, 0, 12))
    coming, found = iter(loader(Numbers(), threads, n_frames=20)), []
    with pytest.raises(InputError, match=r"^frame 17 cannot be read$"):
        found.extend(coming)
    assert found == order[: next(k for k, batch in enumerate(order) if 17 in batch)]


@pytest.mark.parametrize(("read", "work", "said"), [(30, 0, "30 %"), (9, 30, None), (30, 25, None)])
def test_waiting_for_frames_is_said(read: int, work: int, said: str | None, capsys, monkeypatch) -> None:
    """Of a step that takes 100: `read` to get a batch, of which the processor works for `work`."""
    clock = {"wall": 0, "busy": 0}

    class Slow(Numbers):
        def __getitem__(self, number: int) -> int:
            clock.update(wall=clock["wall"] + read, busy=clock["busy"] + work)
            return number

    monkeypatch.setattr(ahead, "perf_counter", lambda: clock["wall"])
    monkeypatch.setattr(ahead, "thread_time", lambda: clock["busy"])
    order = ShuffledBatches(10, 1, 0, 0, ahead.LOOKED_AT + 3)
    given = BatchesAhead(Slow(), 0, CPU, watched=True, batch_sampler=order, collate_fn=list)
    found = []
    for batch in given:
        found.append(batch)
        clock["wall"] += 100 - read
    assert found == list(order)
    line = "of its time waiting for frames. Raise data.num_workers (now 0), so that more threads read ahead."
    expected = f"look: each step spends {said} {line}\n"
    assert capsys.readouterr().out == (expected if said else "")


def test_batches_are_pinned_by_the_thread_that_makes_them(monkeypatch) -> None:
    """As for a GPU, of which there is none here."""
    chosen, pinned = list[torch.device](), list[str]()

    class Pinned(list[int]):
        def pin_memory(self) -> list[int]:
            pinned.append(threading.current_thread().name)
            return [*self, -1]

    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    order = ShuffledBatches(10, 3, 0, 0, 4)
    stream = BatchesAhead(
        Numbers(), 1, gpu := torch.device("cuda", 3), batch_sampler=order, collate_fn=Pinned
    )
    assert list(stream) == [[*numbers, -1] for numbers in order]
    assert chosen == [gpu]
    assert set(pinned) & {threading.current_thread().name} == set()
