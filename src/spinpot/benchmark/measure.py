"""A callback that measures the times of a training run."""

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
WARM_UP = 20  # steps before the measurement
BETWEEN, BARE, SKIPPED = 20, 6, 2
"""After every BETWEEN steps the copy makes SKIPPED warm-up steps and BARE measured steps."""


def shares(
    steps: Sequence[float], logged_steps: Sequence[float], bare_steps: Sequence[float], log_interval: int
) -> dict[str, float]:
    """The median time of steps that do not log, and the fractions of overhead and logging.

    steps, logged_steps, bare_steps: seconds of steps that do not log, of those that log, and of steps without
    Lightning. overhead: fraction of a step outside the model, its derivatives and the optimizer. logging:
    fraction that logging adds to the time of all steps.
    """
    median = statistics.median(steps)
    return {
        "seconds_per_step": median,
        "overhead": 1.0 - statistics.median(bare_steps) / median,
        "logging": (statistics.median(logged_steps) / median - 1.0) / log_interval,
    }


class Measure(pl.Callback):
    """Times every step of a run, and at intervals steps of a copy without Lightning and of an empty loop.

    The three alternate, because the speed of a machine varies with time. profile: profile the copy at the
    end.

    FILE in the run folder receives the numbers of `shares`, and
    empty_loop: seconds per step of Lightning's loop with an empty model;
    peak_memory: of the process or GPU, bytes;
    operations: floating-point operations of the matrix products of a step;
    arithmetic_limit: seconds of these operations at the rate of large matrix products;
    dearest: the slowest operations and their seconds;
    device_busy: the fraction of the time in which the GPU computes.
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
        """Record the time of a step, except after a validation or steps of the copy."""
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
        """Leave the time of validation out of the next step."""
        self._last_end = None

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the results to the run folder."""
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
    """Training steps without Lightning, on a copy of the potential; CUDA graphs if the run uses these."""

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
        """The mean time of BARE steps, after SKIPPED warm-up steps."""
        self.make(SKIPPED)
        start = now()
        self.make(BARE)
        return (now() - start) / BARE

    def make(self, number: int) -> None:
        """Make `number` steps."""
        for given in islice(self.given, number):
            self.step(given)

    def step(self, given: Any) -> Done:
        """Make a step with an item of the training's loader."""
        if self.recorded is not None:
            return self.recorded(given, 1.0)
        return self.whole(given.to(self.prefactors.device), self.prefactors)

    def operations(self) -> int:
        """Floating-point operations of the matrix products of a step, counted with torch's operations."""
        batch = self.step(next(self.given)).batch
        with kernels.without():
            return matrix_operations(lambda: self.whole(batch, self.prefactors))

    def profiled(self, on_gpu: bool, steps: int = 20) -> list[tuple[str, float]]:
        """The operations (on a GPU, kernels) of a step and their seconds, slowest first."""
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

    between: called in each step; its time is not counted. It makes a step of the model, so that the
    processor's caches are filled as in a training; with warm caches Lightning would take half the time.
    """

    def __init__(self, between: Callable[[], object]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self._between = between

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """A minimal optimizer."""
        return torch.optim.SGD(self.parameters(), lr=0.0)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        """Call `between`, and return the loss."""
        self._starts.append(now())
        self._between()
        self._ends.append(now())
        return self.weight * 1.0

    def seconds_per_step(self, steps: int, device: torch.device) -> list[float]:
        """The time that Lightning needs between two steps, for each step."""
        self._starts, self._ends = list[float](), list[float]()
        own: dict[str, Any] = {"max_steps": steps, "max_epochs": -1, "profiler": NoProfiler()}
        enabled = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
        own |= dict.fromkeys(enabled, False)
        devices = 1 if device.index is None else [device.index]
        trainer = pl.Trainer(accelerator=device.type, devices=devices, **own)
        trainer.fit(self, DataLoader(range(steps)))  # type: ignore[arg-type]
        return [start - end for start, end in zip(self._starts[1:], self._ends, strict=False)]
