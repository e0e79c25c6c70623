"""Work on many things: by threads that wait for the disk at once, and by the processes of a run in shares."""

from __future__ import annotations

import gc
import pickle
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import perf_counter, thread_time
from typing import Protocol, TypeVar

from spinpot.core.console import counted
from spinpot.core.errors import InputError

T = TypeVar("T")
R = TypeVar("R")

THREADS = 16  # a disk on a network answers as many requests in the time of one
WAITING = 3.0  # times the processor's time that a thread waiting for files takes
LEAST_WAIT = 0.1  # s before a disk is called slow
MOST_AT_ONCE = 32  # things that a thread takes at once


class Processes(Protocol):
    """The processes of a run, numbered by rank: this one is `rank` of `size`."""

    rank: int
    size: int

    def gather(self, own: bytes) -> list[bytes]:
        """What each of them gives, the same for all; all must call this. Raises what has ended another."""


class _Alone:
    rank, size = 0, 1

    def gather(self, own: bytes) -> list[bytes]:
        return [own]


ALONE: Processes = _Alone()


def shared(work: Callable[[T], R], things: Sequence[T], title: str, processes: Processes = ALONE) -> list[R]:
    """What `work` makes of each thing, in order, the same for all processes: each works on a part.

    `work` waits for files; what it makes is sent to the others. An InputError is raised by all processes,
    that of the first thing that has one. title: of the progress line.
    """
    if processes.size == 1:
        return by_threads(work, things, title)
    rank, size = processes.rank, processes.size
    own: list[R] | InputError
    try:
        own = by_threads(work, things[len(things) * rank // size : len(things) * (rank + 1) // size], title)
    except InputError as error:
        own = error
    # These bytes come from another process of this run, as in torch's own all_gather_object.
    sent = processes.gather(pickle.dumps((len(things), own), pickle.HIGHEST_PROTOCOL))
    made: list[R] = []
    with no_garbage():
        for other, part in enumerate(sent):
            number, found = (len(things), own) if other == rank else pickle.loads(part)
            _refuse_others(title, (rank, len(things)), (other, number))
            if isinstance(found, InputError):
                raise found
            made += found
    return made


def _refuse_others(title: str, one: tuple[int, int], other: tuple[int, int]) -> None:
    """Raise InputError where two processes, by their ranks, find different numbers of things."""
    if one[1] != other[1]:
        (first, a), (second, b) = sorted((one, other))
        raise InputError(
            f"{title}: rank {first} finds {a}, but rank {second} {b}. Expected the same on all ranks. Give "
            "all of them the same folders and settings."
        )


def by_threads(work: Callable[[T], R], things: Sequence[T], title: str) -> list[R]:
    """What `work`, which may wait for files, makes of each thing, in order. Raises the first error in order.

    Other threads than this one begin when it waits: of files in the page cache they make it slower.
    """
    size = max(1, min(MOST_AT_ONCE, len(things) // (4 * THREADS)))
    groups = (things[k : k + size] for k in range(0, len(things), size))
    with no_garbage():
        return list(counted(_made(work, groups), title, len(things)))


def _made(work: Callable[[T], R], groups: Iterator[Sequence[T]]) -> Iterator[R]:
    lasted = worked = 0.0  # over all groups: another program may delay one
    for group in groups:
        began, began_work = perf_counter(), thread_time()
        made = list(map(work, group))
        lasted += perf_counter() - began
        worked += thread_time() - began_work
        yield from made
        if lasted > max(WAITING * worked, LEAST_WAIT):
            break
    with ThreadPoolExecutor(THREADS) as threads:
        for made in threads.map(lambda group: list(map(work, group)), groups):
            yield from made


@contextmanager
def no_garbage() -> Iterator[None]:
    """Make many things that stay without looking for garbage, which takes a fifth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def never_garbage() -> Iterator[None]:
    """Make many things that stay: no later search for garbage looks at them, which takes seconds each."""
    gc.collect()  # as what is garbage now would stay, too
    with no_garbage():
        yield
        gc.freeze()
