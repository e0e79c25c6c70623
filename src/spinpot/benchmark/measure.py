"""A callback that measures a run from inside."""

import copy
import json
import resource
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from spinpot import kernels
from spinpot.benchmark.limit import matrix_operations, matrix_rate, now
from spinpot.core.clock import Mark, mark, seconds
from spinpot.core.files import write_atomically
from spinpot.training.cuda_graph import RecordedSteps
from spinpot.training.module import SpinModule
from spinpot.training.step import Done, WholeStep
from spinpot.training.trainer import NoProfiler

FILE = "measured.json"
DEAREST = 10
WARM_UP = 20  # steps before the first that counts
BETWEEN, BARE, SKIPPED = 20, 6, 2
"""After so many steps the copy makes some that count, and before them some that do not."""


def shares(
    steps: Sequence[float], logged_steps: Sequence[float], bare_steps: Sequence[float], log_interval: int
) -> dict[str, float]:
    """From seconds: the median of the steps that do not log, and two shares of time.

    bare_steps: the same without Lightning. overhead: the share of a step that is not the model, its
    derivatives and the optimizer; logging: what logging adds to the time of all steps, as a share of it.
    """
    median = statistics.median(steps)
    return {
        "seconds_per_step": median,
        "overhead": 1.0 - statistics.median(bare_steps) / median,
        "logging": (statistics.median(logged_steps) / median - 1.0) / log_interval,
    }


class Measure(pl.Callback):
    """Times every step of a run; now and then, some of a copy without Lightning, and of Lightning alone.

    profile: look at the copy's operations at the end. The three alternate because machines are not equally
    fast at all times. Into FILE of the run folder go `shares`; empty_loop, seconds of a step of Lightning
    around nothing; peak_memory in bytes, of the process or of the GPU; operations of a step's matrix
    products, and arithmetic_limit, their seconds at the rate of large ones; dearest, operations and their
    seconds; device_busy, the share of the time in which a GPU computes.
    """

    def __init__(self, profile: bool = False) -> None:
        self._profile = profile
        self._steps: list[tuple[Mark, Mark]] = []
        self._logged: list[tuple[Mark, Mark]] = []
        self._bare, self._empty = list[float](), list[float]()
        self._last_end: Mark | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Make the copy."""
        self._copy = BareLoop(trainer, cast(SpinModule, pl_module))
        self._loop = EmptyLoop(partial(self._copy.make, 1))

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        """Take the time; what follows a validation or the copy's steps has no beginning to count from."""
        end = mark(trainer.strategy.root_device)
        step = trainer.global_step
        if self._last_end is not None and step > WARM_UP:
            logged = step % trainer.log_every_n_steps == 0  # type: ignore[attr-defined]
            (self._logged if logged else self._steps).append((self._last_end, end))
        if step > WARM_UP and step % BETWEEN == 0:
            self._bare.append(self._copy.seconds_per_step())
            self._empty += self._loop.seconds_per_step(SKIPPED + BARE, trainer.strategy.root_device)[SKIPPED:]
            self._last_end = None
        else:
            self._last_end = mark(trainer.strategy.root_device)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave validation out."""
        self._last_end = None

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write what was measured into the run folder."""
        device = trainer.strategy.root_device
        on_gpu = device.type == "cuda"
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        profiled = self._copy.profiled(on_gpu) if self._profile or on_gpu else []
        steps, logged = ([seconds(*marks) for marks in own] for own in (self._steps, self._logged))
        found = shares(steps, logged, self._bare, trainer.log_every_n_steps)  # type: ignore[attr-defined]
        operations = self._copy.operations()
        measured = {
            **found,
            "empty_loop": statistics.median(self._empty),
            "peak_memory": torch.cuda.max_memory_reserved(device) if on_gpu else peak,
            "operations": operations,
            "arithmetic_limit": operations / matrix_rate(self._copy.dtype, device),
            "dearest": profiled[:DEAREST] if self._profile else [],
            "device_busy": sum(own for _, own in profiled) / found["seconds_per_step"] if on_gpu else None,
        }
        write_atomically(Path(trainer.default_root_dir) / FILE, json.dumps(measured))


class BareLoop:
    """The steps of a training with nothing around them, on a copy of the potential; recorded if those are."""

    def __init__(self, trainer: pl.Trainer, module: SpinModule) -> None:
        assert module.step is not None
        potential = copy.deepcopy(module.potential)
        objective = replace(module.step.objective, potential=potential, label_scale=None, processes=None)
        optimizer = module.make_optimizer(potential.parameters())
        self.whole = WholeStep(objective, optimizer, potential.watched_parameters())
        self.prefactors = objective.prefactors(1.0)
        self.recorded: RecordedSteps | None = None
        if isinstance(module.step, RecordedSteps):
            self.recorded = RecordedSteps(replace(module.step.step, whole=self.whole))
        self.given = cycle(list(islice(cast(Iterable[Any], trainer.train_dataloader), 10)))
        self.dtype = next(potential.parameters()).dtype

    def seconds_per_step(self) -> float:
        """Of BARE steps, after some that do not count."""
        self.make(SKIPPED)
        start = now()
        self.make(BARE)
        return (now() - start) / BARE

    def make(self, number: int) -> None:
        """Make some steps."""
        for given in islice(self.given, number):
            self.step(given)

    def step(self, given: Any) -> Done:
        """Make a step of what the loader of the training gave."""
        if self.recorded is not None:
            return self.recorded(given, 1.0)
        return self.whole(given.to(self.prefactors.device), self.prefactors)

    def operations(self) -> int:
        """Floating-point operations of the matrix products of a step, counted in torch's own operations."""
        batch = self.step(next(self.given)).batch
        with kernels.without():
            return matrix_operations(lambda: self.whole(batch, self.prefactors))

    def profiled(self, on_gpu: bool, steps: int = 20) -> list[tuple[str, float]]:
        """The operations of a step and their own seconds, the dearest first; on a GPU its kernels."""
        self.make(SKIPPED)
        activity = torch.profiler.ProfilerActivity
        with torch.profiler.profile(activities=[activity.CUDA if on_gpu else activity.CPU]) as profiler:
            self.make(steps)
            now()
        found = [
            (event.key, (event.self_device_time_total if on_gpu else event.self_cpu_time_total) / 1e6 / steps)
            for event in profiler.key_averages()
            if (event.device_type == torch.autograd.DeviceType.CUDA) == on_gpu
        ]
        return sorted(found, key=lambda item: -item[1])


class EmptyLoop(pl.LightningModule):
    """Lightning's loop around one parameter, without callbacks and loggers.

    between: called in each step, its time left out. A step of a model leaves the processor's caches as a
    training does; with full caches Lightning takes half the time.
    """

    def __init__(self, between: Callable[[], object]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self._between = between

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The least there is."""
        return torch.optim.SGD(self.parameters(), lr=0.0)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        """The loss."""
        self._starts.append(now())
        self._between()
        self._ends.append(now())
        return self.weight * 1.0

    def seconds_per_step(self, steps: int, device: torch.device) -> list[float]:
        """What Lightning needs from one step's end to the next one's."""
        self._starts, self._ends = list[float](), list[float]()
        own: dict[str, Any] = {"max_steps": steps, "max_epochs": -1, "profiler": NoProfiler()}
        enabled = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
        own |= dict.fromkeys(enabled, False)
        devices = 1 if device.index is None else [device.index]
        trainer = pl.Trainer(accelerator=device.type, devices=devices, **own)
        trainer.fit(self, DataLoader(range(steps)))  # type: ignore[arg-type]
        return [start - end for start, end in zip(self._starts[1:], self._ends, strict=False)]
