"""Processes many items: threads wait for the disk in parallel, and each process of a run takes a share."""

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

THREADS = 16  # a network disk answers this many requests in about the time of one
WAITING = 3.0  # work waits for files if it takes more than this multiple of its processor time
LEAST_WAIT = 0.1  # s before threads are started
MOST_AT_ONCE = 32  # items that a thread takes at once


class Processes(Protocol):
    """The processes of a run. rank: number of this process. size: number of processes."""

    rank: int
    size: int

    def gather(self, own: bytes) -> list[bytes]:
        """The bytes of all processes, by rank, in each process. All must call this.

        If an error has ended another process, that error is raised.
        """


class _Alone:
    rank, size = 0, 1

    def gather(self, own: bytes) -> list[bytes]:
        return [own]


ALONE: Processes = _Alone()


def shared(work: Callable[[T], R], things: Sequence[T], title: str, processes: Processes = ALONE) -> list[R]:
    """The results of `work` for all things, in order. Each process works on a part and receives all results.

    work: mostly waits for files; its results can be pickled. title: of the progress line. If `work` raises
    InputError, all processes raise the error of the first thing that has one.
    """
    if processes.size == 1:
        return by_threads(work, things, title)
    rank, size = processes.rank, processes.size
    own: list[R] | InputError
    try:
        own = by_threads(work, things[len(things) * rank // size : len(things) * (rank + 1) // size], title)
    except InputError as error:
        own = error
    # Unpickling is safe: the bytes come from processes of this run, as in torch's all_gather_object.
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
    """Raise InputError if two processes have different numbers of things. one, other: (rank, number)."""
    if one[1] != other[1]:
        (first, a), (second, b) = sorted((one, other))
        raise InputError(
            f"{title}: rank {first} found {a}, but rank {second} found {b}. Expected the same number on all "
            "ranks. Give all ranks the same folders and settings."
        )


def by_threads(work: Callable[[T], R], things: Sequence[T], title: str) -> list[R]:
    """The results of `work` for all things, in order. Raises the error of the first thing that has one.

    This thread works alone at first. Others start only if it waits for files, because threads make it slower
    to read files that are in the page cache.
    """
    size = max(1, min(MOST_AT_ONCE, len(things) // (4 * THREADS)))
    groups = (things[k : k + size] for k in range(0, len(things), size))
    with no_garbage():
        return list(counted(_made(work, groups), title, len(things)))


def _made(work: Callable[[T], R], groups: Iterator[Sequence[T]]) -> Iterator[R]:
    lasted = worked = 0.0  # summed over groups, since another program may delay one of them
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
    """Disable garbage collection while making many objects to keep; it would take a fifth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def never_garbage() -> Iterator[None]:
    """Exclude objects made in this block from later garbage collections, each of which would take seconds."""
    gc.collect()  # garbage that exists now would stay, too
    with no_garbage():
        yield
        gc.freeze()
