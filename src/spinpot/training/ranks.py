"""The processes of one run: they meet before the work, an error on one ends all, and they leave together.

They exchange messages through a torch.distributed.TCPStore that rank 0 hosts at MASTER_ADDR:MASTER_PORT, like
torch's process group. A thread of each rank polls the store for messages of the others.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import count

import torch
import torch.distributed as dist
from omegaconf import DictConfig
from rich.console import Console

from spinpot.config.app import StoppedError, describe, say
from spinpot.core.console import console, progress_console
from spinpot.core.errors import InputError, TrainingError
from spinpot.core.shares import ALONE, Processes
from spinpot.training.places import Place, own_environment, place_of

LINE_EVERY = 30.0  # seconds between the lines that a waiting rank prints
POLL = 0.3  # seconds between two polls of the store
SOON = 0.02  # seconds; most waits end within this time, so polling starts faster
PART = 1 << 22  # bytes sent to the store at once; its limit is 8 MiB
GRACE = 10.0  # seconds that a rank has to end by itself after another has ended

_meetings = count()  # the ranks of a sweep meet once for each job
_present: list["Ranks"] = []  # the Ranks of the current run; empty in a run of one process


class EndedElsewhereError(TrainingError):
    """Another rank failed; the message is that rank's message."""


@contextmanager
def all_ranks(trainer: DictConfig) -> Iterator[None]:
    """Run the block on all ranks of a run; in a run of one process, just run it.

    trainer: the config section. If no launcher starts the ranks, this starts them. Raises InputError if the
    ranks do not meet, EndedElsewhereError if another rank failed, and SystemExit if its message has been
    printed already or a signal has stopped a rank (with that rank's code).
    """
    with own_environment():
        place = place_of(trainer)
        if place is None:
            yield
            return
        ranks = Ranks(place)
        _present.append(ranks)
        try:
            with _own_cores(place):
                ranks.meet()
                yield
                ranks.leave()
        except BaseException as error:
            ranks.end_with(error)
            raise
        finally:
            _present.remove(ranks)
            ranks.close()


@contextmanager
def _own_cores(place: Place) -> Iterator[None]:
    """Divide the cores of a node among the ranks that are started here, unless OMP_NUM_THREADS is set.

    Lightning does so only when training starts; until then the threads of the ranks wait for each other.
    """
    threads = torch.get_num_threads()
    if place.started_here and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, threads // place.per_node))
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def processes() -> Processes:
    """The processes of the current run."""
    return _present[-1] if _present else ALONE


def on_its_way_out() -> None:
    """Note that an error is ending this rank, so that the watching thread need not stop it."""
    for ranks in _present:
        ranks.on_its_way_out = True


def all_ready() -> None:
    """Wait until all ranks have passed their checks, before any writes. Raises the error of another rank."""
    for ranks in _present:
        ranks.ready()


@dataclass(frozen=True)
class End:
    """Why all ranks end: the rank that failed, its message, and the exit code."""

    rank: int
    message: str
    code: int = 1


class Ranks:
    """The rank of this process, and its messages to and from the other ranks.

    A thread polls the store. Once a rank has reported its end there, the thread sets `_end`.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.rank, self.size = place.rank, place.size
        # torchrun's store survives a restart together with the old messages, so each restart has its own
        # name.
        restarts = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        self._name = f"spinpot/{restarts}/{next(_meetings)}"
        self._store: dist.Store | None = None
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._parent = os.getppid()
        self._end: End | None = None
        self._told, self._ending = threading.Event(), threading.Event()
        self._gone = self.on_its_way_out = False
        self._sent: list[str] = []
        self._gathered = 0
        console.quiet = progress_console.quiet = place.rank != 0

    def meet(self) -> None:
        """Join the other ranks. Wait for all of them if a launcher starts them."""
        place = self.place
        self._store = self._host() if place.hosts_store else self._join()
        if self._store.add(f"here/{place.rank}", 1) > 1:
            raise InputError(
                f"Another process with rank {place.rank} has already joined at {place.at}. Give each process "
                "its own RANK, and each run its own MASTER_PORT."
            )
        self._children = dict(enumerate(place.start_others(), start=place.rank + 1))
        threading.Thread(target=self._watch, daemon=True, name="ranks").start()
        if not place.started_here:
            self._wait(lambda: not self._missing(), lambda: f"for {_listed(self._missing())}")

    def ready(self) -> None:
        """Wait until all ranks are ready to train."""
        self._set("ready")
        self._wait_for_all("ready", "to be ready")

    def _wait_for_all(self, key: str, what: str) -> None:
        """Wait until each rank has set a key."""
        self._wait(lambda: self._all_have(key), lambda: f"for {_listed(self._missing(key))} {what}")

    def _all_have(self, key: str) -> bool:
        """Whether all ranks have set a key. Raises InputError if one has left because its run is finished."""
        missing = self._missing(key)
        left = [rank for rank in missing if self._has(f"left/{rank}")]
        if left:
            raise InputError(
                f"Rank {left[0]} found a finished run, but rank {self.place.rank} did not. All ranks must "
                "see the same run folder and get the same settings."
            )
        return not missing

    def gather(self, own: bytes) -> list[bytes]:
        """The data of all ranks in rank order; all ranks must call this. Raises the error of another rank."""
        key, before = f"share/{self._gathered}", self._sent
        self._gathered += 1
        parts = [own[k : k + PART] for k in range(0, len(own), PART)]
        self._sent = [f"{key}/{self.rank}/{k}" for k in range(len(parts))]
        for name, part in zip(self._sent, parts, strict=True):
            self._stored.set(name, part)  # type: ignore[arg-type]  # it takes bytes, too
        self._set(key, str(len(parts)))
        self._wait_for_all(key, "to do its share of the work")
        for name in before:  # all ranks are here, so all have read the data of the previous gather
            self._stored.delete_key(name)
        return [self._received(f"{key}/{rank}") for rank in range(self.size)]

    def _received(self, key: str) -> bytes:
        return b"".join(self._stored.get(f"{key}/{k}") for k in range(int(self._stored.get(key))))

    def leave(self) -> None:
        """Wait until all ranks have finished. Raises the error of another rank."""
        self._set("left")
        while not self._has(*(f"left/{rank}" for rank in range(self.place.size))):
            self._look()
            time.sleep(POLL)
        self._ending.set()
        self._go()

    def end_with(self, error: BaseException) -> None:
        """Report an error to the other ranks. If another rank's end caused it, raise that rank's error."""
        # This rank may notice a closed connection before it reads the message of the rank that closed it.
        patience = 0 if isinstance(error, SystemExit) else 3
        own = describe(error) is not None
        if self._store is None or isinstance(error, EndedElsewhereError):
            self._ending.set()
            return
        if not own:
            self._look(patience)
        self._ending.set()
        with suppress(RuntimeError):  # rank 0 and its store are gone: no rank can be told
            _tell(self._store, End(self.place.rank, _message(error), _code(error)))
            for rank in set(self._missing()) & set(self._children):
                self._children[rank].terminate()
            self._go()
            if self.place.silent and (own or not isinstance(error, Exception)):
                raise SystemExit(_code(error))

    def close(self) -> None:
        """End the thread and the processes started here; stop those that do not end by themselves."""
        self._ending.set()
        for stop in (subprocess.Popen.terminate, subprocess.Popen.kill):
            until = time.monotonic() + GRACE
            while self._running() and time.monotonic() < until:
                time.sleep(POLL / 3)
            for child in self._running():
                stop(child)

    def _running(self) -> list[subprocess.Popen[bytes]]:
        return [child for child in self._children.values() if child.poll() is None]

    def _host(self) -> dist.Store:
        try:
            return self._connect(hosts=True)
        except RuntimeError as error:
            raise InputError(
                f"The ranks cannot meet at {self.place.at}: {str(error).splitlines()[0]} Set MASTER_PORT to "
                "a free port of this machine, the same for all ranks."
            ) from error

    def _join(self) -> dist.Store:
        self._wait(self._answers, lambda: f"for rank 0 at {self.place.at}")
        return self._connect(hosts=False)

    def _connect(self, hosts: bool) -> dist.Store:
        store = dist.TCPStore(
            self.place.address,
            self.place.port,
            is_master=hosts,
            wait_for_workers=False,
            multi_tenant=hosts,  # torch's process group uses the same port
            timeout=timedelta(seconds=GRACE),
        )
        return dist.PrefixStore(self._name, store)

    def _answers(self) -> bool:
        try:
            socket.create_connection((self.place.address, self.place.port), timeout=POLL * 10).close()
        except OSError:
            return False
        return True

    def _wait(self, done: Callable[[], bool], what: Callable[[], str]) -> None:
        """Wait until `done()`, and print a line now and then. Raises InputError after the timeout."""
        began, said = time.monotonic(), 0
        limit = self.place.timeout
        while not done():
            waited = time.monotonic() - began
            if waited >= limit:
                raise InputError(
                    f"Rank {self.place.rank} has waited {limit:.0f} s {what()}. Start all {self.place.size} "
                    "ranks with the same MASTER_ADDR and MASTER_PORT; the timeout of trainer.strategy sets "
                    "the waiting time."
                )
            if waited >= (said + 1) * LINE_EVERY:
                said += 1
                _print(f"Rank {self.place.rank} waits {what()}: {waited:.0f} s of {limit:.0f} s.")
            self._look()
            time.sleep(min(POLL, (waited + SOON) / 10))

    def _missing(self, key: str = "here") -> list[int]:
        return [rank for rank in range(self.place.size) if not self._has(f"{key}/{rank}")]

    def _look(self, patience: float = 0) -> None:
        """Raise the error of another rank if one has ended."""
        self._told.wait(patience)
        if (end := self._end) is None:
            return
        self._ending.set()
        with suppress(RuntimeError):
            self._go()
        message = f"Rank {end.rank}: {end.message}"
        if end.code == 1 and not self.place.silent:
            raise EndedElsewhereError(message)
        if not self.place.silent:
            _print(message)
        raise SystemExit(end.code)

    @property
    def _stored(self) -> dist.Store:
        assert self._store is not None
        return self._store

    def _set(self, key: str, value: str = "") -> None:
        self._stored.set(f"{key}/{self.rank}", value)

    def _has(self, *keys: str) -> bool:
        """Whether all keys have been set. Raises EndedElsewhereError if rank 0, with the store, is gone."""
        try:
            return bool(self._stored.check(list(keys)))
        except RuntimeError:
            raise EndedElsewhereError(f"Rank 0: {_LOST.message}") from None

    def _go(self) -> None:
        """Report that this rank no longer needs the store. Its host waits until all others have done so."""
        gone = self._stored.add("gone", 0 if self._gone else 1)
        self._gone = True
        until = time.monotonic() + 2 * GRACE
        while self.place.hosts_store and time.monotonic() < until:
            if gone >= self.place.size - len(self._missing()):
                return
            time.sleep(POLL / 3)
            gone = self._stored.add("gone", 0)

    def _watch(self) -> None:
        """Watch the store; when another rank has ended, end this process, in good order if possible."""
        end = None
        try:
            store = self._connect(hosts=False)
            while end is None and not self._ending.wait(POLL):
                self._look_after_processes(store)
                end = _read(store)
        except RuntimeError:
            end = _LOST
        if end is None or end.rank == self.place.rank:
            return
        self._end = end
        self._told.set()
        # This rank may end by itself: by the same error, a closed connection, or the same signal.
        if self._ending.wait(GRACE / 4 if end.code == 1 else GRACE):
            return
        if callable(signal.getsignal(signal.SIGTERM)) and not self.on_its_way_out:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
        if not self._ending.wait(GRACE):
            if not self.place.silent:
                say(f"Rank {end.rank}: {end.message}")
            sys.stdout.flush()
            with suppress(RuntimeError):
                self._go()
            os._exit(end.code)

    def _look_after_processes(self, store: dist.Store) -> None:
        """Report the end of child processes that were killed and cannot report it themselves."""
        for rank, child in self._children.items():
            if child.poll():
                _tell(store, End(rank, f"the process ended with exit code {child.returncode}."))
        if self.place.started_here and self.place.local_rank > 0 and os.getppid() != self._parent:
            raise RuntimeError


_LOST = End(0, "the process ended without a message.")


def _tell(store: dist.Store, end: End) -> None:
    store.compare_set("end", "", json.dumps(asdict(end)))  # keep only the first


def _read(store: dist.Store) -> End | None:
    return End(**json.loads(store.get("end"))) if store.check(["end"]) else None


def _message(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted."
    if isinstance(error, StoppedError):
        return f"stopped by {error}."
    if isinstance(error, SystemExit):
        return f"stopped with exit code {error.code}."
    lines = str(error).splitlines() or [""]
    return describe(error) or f"{type(error).__name__}: {lines[0]}"


def _code(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT
    return error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 1


def _listed(ranks: Sequence[int]) -> str:
    return f"rank{'s' * (len(ranks) > 1)} {', '.join(map(str, ranks))}"


def _print(text: str) -> None:
    """Print to stderr on every rank; the shared consoles print on rank 0 only."""
    Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print(text)
