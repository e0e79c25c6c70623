"""Saves and stops on a cluster's warning signal, so that resume=auto resumes the requeued job."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytorch_lightning as pl

from spinpot.core.console import print_line

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


class StopOnSignal(pl.Callback):
    """On SIGTERM, SIGUSR1 or Ctrl-C, end the step or validation, validate, save the checkpoints and stop.

    A second Ctrl-C ends the program at once. Before the first step and after the last, the signal handlers
    from before the run apply.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.together = False

    def attach(self, trainer: pl.Trainer) -> None:
        """Disable Lightning's signal handlers: they stop without saving, or do not stop at all."""
        trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Install the signal handlers. `signals_kept` restores the earlier ones."""
        if _in_main_thread():
            for number in SIGNALS:
                signal.signal(number, self._receive)

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        """Stop all processes at the same step; Lightning validates before it stops."""
        self._stop_if_warned(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop at once after a signal during a validation: no further step, no second validation."""
        self._stop_if_warned(trainer)

    def _stop_if_warned(self, trainer: pl.Trainer) -> None:
        if trainer.strategy.reduce_boolean_decision(self.received is not None, all=False):
            # All processes exit with the code of the first, whichever of them received the signal.
            self.received = trainer.strategy.broadcast(self.received or signal.SIGTERM)
            trainer.should_stop = self.together = True

    def end(self, trainer: pl.Trainer) -> None:
        """End all processes together with exit code 128 + signal number, as shells do."""
        assert self.received is not None
        for logger in trainer.loggers:
            logger.finalize("failed")
        if self.together:  # Lightning kills the first process when another ends before it
            trainer.strategy.barrier()
        name = signal.Signals(self.received).name
        print_line(f"{name}: saved at step {trainer.global_step}. Resume with resume=auto.")
        raise SystemExit(128 + self.received)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.received is not None:
            raise KeyboardInterrupt
        self.received = number


@contextmanager
def signals_kept() -> Iterator[None]:
    """Restore all signal handlers at the end of the block, also after an error."""
    if not _in_main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
