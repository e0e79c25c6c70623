"""A cluster's warning: save and stop, so that the requeued job goes on with resume=auto."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

import pytorch_lightning as pl

from spinpot.console import console

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


class StopOnSignal(pl.Callback):
    """On SIGTERM, SIGUSR1 or Ctrl-C, end the step, validate, save the checkpoints and stop.

    A second Ctrl-C ends the program at once.
    """

    def __init__(self) -> None:
        self.stopped = False
        self._received: int = signal.SIGTERM
        self._warned = False
        self._before: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the signals over from Lightning, which stops without saving."""
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._receive)

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        """Stop all processes at the same step; Lightning validates before it does."""
        if trainer.strategy.reduce_boolean_decision(self._warned, all=False):
            # The exit code is the first process's, whichever was warned.
            self._received = trainer.strategy.broadcast(self._received)
            trainer.should_stop = self.stopped = True

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def exit(self, step: int) -> None:
        """End the program with code 128 + the signal's number, as a shell counts it."""
        name = signal.Signals(self._received).name
        console.print(f"{name}: saved at step {step}. Go on by resume=auto.", soft_wrap=True)
        raise SystemExit(128 + self._received)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self._warned:
            raise KeyboardInterrupt
        self._received, self._warned = number, True
