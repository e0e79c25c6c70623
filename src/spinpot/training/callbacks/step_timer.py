"""Measures the seconds per step for the summary and the loggers."""

import statistics
import time
from typing import Any

import pytorch_lightning as pl

from spinpot.core.clock import Mark, mark, seconds


class StepTimer(pl.Callback):
    """Times every optimizer step from end to end: data, step and logging, but not validation."""

    def __init__(self) -> None:
        self._durations: list[float] = []
        self.earlier_seconds = 0.0
        self._started = time.perf_counter()
        self._measured: list[tuple[Mark, Mark]] = []
        self._last_end: Mark | None = None
        self._last_step = 0
        self._logged = 0

    @property
    def seconds_per_step(self) -> float | None:
        """The median, or None before the second step."""
        return statistics.median(self.durations) if self.durations else None

    @property
    def durations(self) -> list[float]:
        """Seconds of each step."""
        self._durations += [seconds(*marks) for marks in self._measured]
        self._measured.clear()
        return self._durations

    @property
    def train_seconds(self) -> float:
        """Wall time of the training, including validation and the earlier parts of a resumed run."""
        return self.earlier_seconds + time.perf_counter() - self._started

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._started = time.perf_counter()
        self._last_step = trainer.global_step

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        """Record the time at the end of an optimizer step; log the median since the last logged step."""
        if trainer.global_step == self._last_step:
            return
        now = mark(trainer.strategy.root_device)
        if self._last_end is not None:
            self._measured.append((self._last_end, now))
        self._last_end, self._last_step = now, trainer.global_step
        if trainer.global_step % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            self._log(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Skip the duration of the next step, which would include the validation."""
        self._last_end = None

    def _log(self, trainer: pl.Trainer) -> None:
        recent, self._logged = self.durations[self._logged :], len(self.durations)
        if not recent:
            return
        assert trainer.train_dataloader is not None
        typical = statistics.median(recent)
        # The sampler's batch size counts all processes together.
        frames = trainer.train_dataloader.batch_sampler.batch_size * trainer.accumulate_grad_batches
        speed = {"throughput/seconds_per_step": typical, "throughput/frames_per_second": frames / typical}
        # Not with self.log of the module, which repeats the last value if there is no new one.
        for logger in trainer.loggers:
            logger.log_metrics(speed, step=trainer.global_step)

    def state_dict(self) -> dict[str, Any]:
        """The time spent so far, for resumed runs."""
        return {"train_seconds": self.train_seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Add the time of the earlier part of a resumed run."""
        self.earlier_seconds = float(state_dict["train_seconds"])
