"""Lines printed at the start and the end of a run: settings without effect, and why a run ended early."""

import pytorch_lightning as pl
from omegaconf import DictConfig
from pytorch_lightning.callbacks import EarlyStopping, Timer

from spinpot.config.conflicts import remarks
from spinpot.core.console import print_line
from spinpot.training.resume import Resumed
from spinpot.training.schedulers import Schedule


def print_remarks(config: DictConfig, schedule: Schedule, resumed: Resumed | None) -> None:
    """Print the settings that have no effect or are replaced."""
    steps = config.trainer.max_steps
    lines = [*remarks(config), *([schedule.remark(steps)] if steps else [])]
    if resumed and config.init_from is not None:
        lines.append(f"init_from={config.init_from} has no effect: the weights come from {resumed.path}.")
    for line in filter(None, lines):
        print_line(line)


def print_early_end(trainer: pl.Trainer) -> None:
    """Print why a run ended before trainer.max_steps."""
    if trainer.global_step >= trainer.max_steps:
        return
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, EarlyStopping) and callback.stopping_reason_message:
            said = callback.stopping_reason_message.removesuffix("Signaling Trainer to stop.")
            reason = f"early stopping: {said.strip().rstrip('.')}"
            break
        if isinstance(callback, Timer) and (callback.time_remaining() or 0.0) <= 0.0:
            reason = "trainer.max_time has passed"
            break
    else:
        reason = "a callback stopped it"
    print_line(f"Ended at step {trainer.global_step} of {trainer.max_steps}: {reason}.")
