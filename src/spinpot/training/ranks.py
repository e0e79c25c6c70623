"""The processes of one run: they meet before the work, a refusal on one ends all, and they leave together.

They talk through a torch.distributed.TCPStore that rank 0 hosts at MASTER_ADDR:MASTER_PORT, where torch's own
process group finds its store too. A thread of each rank looks there for what another has said.
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

import torch.distributed as dist
from omegaconf import DictConfig
from rich.console import Console

from spinpot.config.app import StoppedError, describe, say
from spinpot.core.console import console, progress_console
from spinpot.core.errors import InputError, TrainingError
from spinpot.core.shares import ALONE, Processes
from spinpot.training.places import Place, own_environment, place_of

LINE_EVERY = 30.0  # seconds between the lines of a rank that waits
POLL = 0.3  # seconds between two looks at what the others say
SOON = 0.02  # seconds within which what is waited for often comes
PART = 1 << 22  # bytes that are sent to the store at once; it takes 8 MiB
GRACE = 10.0  # seconds that a rank has to end by itself, once another has ended

_meetings = count()  # a sweep that is started on all ranks meets once for each job
_present: list["Ranks"] = []  # this process among those of the present run; none in a run of one process


class EndedElsewhereError(TrainingError):
    """Another rank was refused or failed; the message is its own."""


@contextmanager
def all_ranks(trainer: DictConfig) -> Iterator[None]:
    """Run the block on all ranks of a run; in a run of one process, just run it.

    trainer: the config's section. Where nobody else starts the ranks, they are started here. Raises
    InputError if they do not meet, EndedElsewhereError if another rank was refused or failed, and SystemExit
    if that has been said already, or with the code of a rank that a signal has stopped.
    """
    with own_environment():
        place = place_of(trainer)
        if place is None:
            yield
            return
        ranks = Ranks(place)
        _present.append(ranks)
        try:
            ranks.meet()
            yield
            ranks.leave()
        except BaseException as error:
            ranks.end_with(error)
            raise
        finally:
            _present.remove(ranks)
            ranks.close()


def processes() -> Processes:
    """Those of the present run."""
    return _present[-1] if _present else ALONE


def on_its_way_out() -> None:
    """Say that an error ends this rank, which need not be stopped any more."""
    for ranks in _present:
        ranks.on_its_way_out = True


def all_ready() -> None:
    """Wait for all ranks, past all that they refuse and before any writes. Raises what ends this rank."""
    for ranks in _present:
        ranks.ready()


@dataclass(frozen=True)
class End:
    """What ends all ranks: whose message, and the exit code."""

    rank: int
    message: str
    code: int = 1


class Ranks:
    """The rank that this process is, and what it tells the others and hears from them.

    A thread listens to them, and sets `_end` to what ends all of them, once another rank has said so.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.rank, self.size = place.rank, place.size
        # torchrun's own store outlives a restart, and what was said before it.
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
        """Join the others; wait for all of them if they are started from outside."""
        place = self.place
        self._store = self._host() if place.hosts_store else self._join()
        if self._store.add(f"here/{place.rank}", 1) > 1:
            raise InputError(
                f"A rank {place.rank} has joined at {place.at} already. Give each process a RANK of its own, "
                "and each run a MASTER_PORT of its own."
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
        """Whether all ranks have set it. Raises InputError if one has nothing to do."""
        missing = self._missing(key)
        left = [rank for rank in missing if self._has(f"left/{rank}")]
        if left:
            raise InputError(
                f"Rank {left[0]} has found a finished run, rank {self.place.rank} has not. All ranks must "
                "see the same run folder and get the same settings."
            )
        return not missing

    def gather(self, own: bytes) -> list[bytes]:
        """What each rank gives, the same for all; all must call this. Raises what has ended another."""
        key, before = f"share/{self._gathered}", self._sent
        self._gathered += 1
        parts = [own[k : k + PART] for k in range(0, len(own), PART)]
        self._sent = [f"{key}/{self.rank}/{k}" for k in range(len(parts))]
        for name, part in zip(self._sent, parts, strict=True):
            self._stored.set(name, part)  # type: ignore[arg-type]  # bytes are taken, too
        self._set(key, str(len(parts)))
        self._wait_for_all(key, "to do its share of the work")
        for name in before:  # who has come here has all of that
            self._stored.delete_key(name)
        return [self._received(f"{key}/{rank}") for rank in range(self.size)]

    def _received(self, key: str) -> bytes:
        return b"".join(self._stored.get(f"{key}/{k}") for k in range(int(self._stored.get(key))))

    def leave(self) -> None:
        """Wait until all ranks have come to their end. Raises what ends this one, if one of them fails."""
        self._set("left")
        while not self._has(*(f"left/{rank}" for rank in range(self.place.size))):
            self._look()
            time.sleep(POLL)
        self._ending.set()
        self._go()

    def end_with(self, error: BaseException) -> None:
        """Tell the others of an error; where another rank's end has brought it, raise that one's."""
        # A closed connection may be seen before the message of who closed it.
        patience = 0 if isinstance(error, SystemExit) else 3
        own = describe(error) is not None
        if self._store is None or isinstance(error, EndedElsewhereError):
            self._ending.set()
            return
        if not own:
            self._look(patience)
        self._ending.set()
        with suppress(RuntimeError):  # rank 0 is gone, and nobody is left to be told
            _tell(self._store, End(self.place.rank, _message(error), _code(error)))
            for rank in set(self._missing()) & set(self._children):
                self._children[rank].terminate()
            self._go()
            if self.place.silent and (own or not isinstance(error, Exception)):
                raise SystemExit(_code(error))

    def close(self) -> None:
        """End the thread, and the processes that were started here if they do not end by themselves."""
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
            multi_tenant=hosts,  # torch's process group makes one at the same place
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
        """Wait until something is so, and say so now and then. Raises InputError when the time is over."""
        began, said = time.monotonic(), 0
        limit = self.place.timeout
        while not done():
            waited = time.monotonic() - began
            if waited >= limit:
                raise InputError(
                    f"Rank {self.place.rank} has waited {limit:.0f} s {what()}. Start all {self.place.size} "
                    "ranks with one MASTER_ADDR and MASTER_PORT; the timeout of trainer.strategy says how "
                    "long each waits."
                )
            if waited >= (said + 1) * LINE_EVERY:
                said += 1
                _print(f"Rank {self.place.rank} waits {what()}: {waited:.0f} s of {limit:.0f} s.")
            self._look()
            time.sleep(min(POLL, (waited + SOON) / 10))

    def _missing(self, key: str = "here") -> list[int]:
        return [rank for rank in range(self.place.size) if not self._has(f"{key}/{rank}")]

    def _look(self, patience: float = 0) -> None:
        """Raise what ends this rank if another has ended."""
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
        """Say that this rank looks at the store no more; who hosts it waits for the others to say so."""
        gone = self._stored.add("gone", 0 if self._gone else 1)
        self._gone = True
        until = time.monotonic() + 2 * GRACE
        while self.place.hosts_store and time.monotonic() < until:
            if gone >= self.place.size - len(self._missing()):
                return
            time.sleep(POLL / 3)
            gone = self._stored.add("gone", 0)

    def _watch(self) -> None:
        """End this process, in good order if it can, when another rank has ended."""
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
        # It may end by itself: by the same error, a closed connection or, after a signal, in good order.
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
        """Say so for a process that was killed and cannot."""
        for rank, child in self._children.items():
            if child.poll():
                _tell(store, End(rank, f"the process ended with exit code {child.returncode}."))
        if self.place.started_here and self.place.local_rank > 0 and os.getppid() != self._parent:
            raise RuntimeError


_LOST = End(0, "the process ended without a message.")


def _tell(store: dist.Store, end: End) -> None:
    store.compare_set("end", "", json.dumps(asdict(end)))  # only the first counts


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
    """On stderr of this rank, whichever it is."""
    Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print(text)
