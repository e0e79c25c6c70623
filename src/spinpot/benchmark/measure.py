"""A callback that measures a run from inside, and what its numbers mean."""

from __future__ import annotations

import copy
import json
import resource
import statistics
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch

from spinpot.benchmark.limit import matrix_operations, matrix_rate
from spinpot.data.batch import Batch
from spinpot.model import native
from spinpot.training.module import SpinModule

FILE = "measured.json"
WARM_UP = 20
"""Steps before the first that counts."""
BETWEEN, BARE, SKIPPED = 20, 8, 2
"""After so many steps the copy makes some, of which the first do not count."""


@dataclass(frozen=True)
class Measured:
    """Seconds of every step of a run, of those that logged, of the same steps without Lightning; bytes.

    operations: of the matrix products of a step; matrix_rate: of large ones, per second; dearest: where a
    step spends its time, operations and their seconds, if that was asked for.
    """

    steps: list[float]
    logged_steps: list[float]
    bare_steps: list[float]
    log_interval: int
    peak_memory: int
    operations: int
    matrix_rate: float
    dearest: list[tuple[str, float]]

    @property
    def limit(self) -> float:
        """Seconds that the matrix products of a step take at the machine's rate."""
        return self.operations / self.matrix_rate

    @property
    def seconds_per_step(self) -> float:
        """The median of the steps that do not log."""
        return statistics.median(self.steps)

    @property
    def overhead(self) -> float:
        """The share of a step that is not the model, its derivatives and the optimizer."""
        return 1.0 - statistics.median(self.bare_steps) / self.seconds_per_step

    @property
    def logging(self) -> float:
        """What logging adds to the time of all steps, as a share of it."""
        more = statistics.median(self.logged_steps) - self.seconds_per_step
        return more / self.log_interval / self.seconds_per_step

    @classmethod
    def read(cls, folder: Path) -> Measured:
        """What Measure left in a run folder."""
        return cls(**json.loads((folder / FILE).read_text(encoding="utf-8")))


class Measure(pl.Callback):
    """Times every step of a run from end to end; now and then, some steps of a copy without Lightning.

    profile: look at the copy's operations at the end. The two alternate because machines are not equally
    fast at all times.
    """

    def __init__(self, profile: bool = False) -> None:
        self._profile = profile
        self._steps: list[float] = []
        self._logged: list[float] = []
        self._bare: list[float] = []
        self._last_end: float | None = None
        self._copy: BareLoop | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Make the copy."""
        self._copy = BareLoop(trainer, cast(SpinModule, pl_module))

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        """Take the time; what follows a validation or the copy's steps has no beginning to count from."""
        assert self._copy is not None
        now = _now()
        step = trainer.global_step
        if self._last_end is not None and step > WARM_UP:
            logged = step % trainer.log_every_n_steps == 0  # type: ignore[attr-defined]
            (self._logged if logged else self._steps).append(now - self._last_end)
        if step > WARM_UP and step % BETWEEN == 0:
            self._bare += self._copy.steps(BARE)[SKIPPED:]
            self._last_end = None
        else:
            self._last_end = time.perf_counter()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave validation out."""
        self._last_end = None

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write what was measured into the run folder."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        interval = trainer.log_every_n_steps  # type: ignore[attr-defined]
        assert self._copy is not None
        measured = Measured(
            steps=self._steps,
            logged_steps=self._logged,
            bare_steps=self._bare,
            log_interval=interval,
            peak_memory=peak,
            operations=self._copy.operations(),
            matrix_rate=matrix_rate(self._copy.potential.descriptor.davg.dtype),
            dearest=self._copy.dearest() if self._profile else [],
        )
        folder = Path(trainer.default_root_dir)
        (folder / FILE).write_text(json.dumps(asdict(measured)), encoding="utf-8")


class BareLoop:
    """The steps of a training with nothing around them, on a copy of the potential."""

    def __init__(self, trainer: pl.Trainer, module: SpinModule) -> None:
        loader = cast(Iterable[Batch], trainer.train_dataloader)
        self.batches = cycle(batch.to(module.device) for batch in islice(loader, 10))
        self.loss, self.magnetic = module.loss, module.magnetic
        self.potential = copy.deepcopy(module.potential)
        self.optimizer = module.make_optimizer(self.potential.parameters())

    def steps(self, number: int) -> list[float]:
        """Make some steps; seconds of each."""
        seconds = []
        for batch in islice(self.batches, number):
            start = _now()
            prediction = self.potential(batch, differentiable=True)
            totals, counts = self.loss.sums(prediction, batch, self.magnetic)
            self.optimizer.zero_grad()
            self.loss.combine(totals, counts, 1.0).backward()
            self.optimizer.step()
            seconds.append(_now() - start)
        return seconds

    def operations(self) -> int:
        """Floating-point operations of the matrix products of a step, counted in torch's own operations."""
        with native.without():
            return matrix_operations(lambda: self.steps(1))

    def dearest(self, number: int = 10, steps: int = 20) -> list[tuple[str, float]]:
        """The operations that a step spends most time in itself, and their seconds per step."""
        with torch.profiler.profile() as profiler:
            self.steps(steps)
        found = [
            (event.key, (event.self_cpu_time_total + event.self_device_time_total) / 1e6 / steps)
            for event in profiler.key_averages()
        ]
        return sorted(found, key=lambda item: -item[1])[:number]


def _now() -> float:
    """The time at which all that was asked for so far is done, on a GPU too."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
