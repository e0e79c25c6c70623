"""Builds Lightning's Trainer from the config and runs it."""

import gc
import logging
import warnings
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import Logger
from pytorch_lightning.profilers import PassThroughProfiler, PyTorchProfiler
from pytorch_lightning.utilities.model_helpers import is_overridden

from spinpot.core.console import console, print_line
from spinpot.data.datamodule import SpinDataModule
from spinpot.loss.ener_spin import EnerSpinLoss
from spinpot.models.checkpoint import LAST, checkpoint_file
from spinpot.training.callbacks.cuda_graphs import INSIDE
from spinpot.training.callbacks.settling import Settling
from spinpot.training.callbacks.stop_on_signal import signals_kept
from spinpot.training.callbacks.wandb_report import WandbReport
from spinpot.training.checkpoint_io import WholeCheckpoints
from spinpot.training.checks import check_devices, check_monitors
from spinpot.training.metrics_csv import MetricsCsv
from spinpot.training.module import SpinModule
from spinpot.training.resume import Resumed
from spinpot.training.wandb_run import WandbRun

IRRELEVANT_WARNINGS = (
    "`training_step` returned `None`",
    # The order of the frames is a function of the step, so a run can resume exactly in mid-epoch.
    "You're resuming from a checkpoint that ended before the epoch ended",
    ".*does not have many workers",
    # Lightning warns so in a run without steps.
    "Total length of `.*` across ranks is zero",
    # The logged numbers are the same on all processes already.
    "It is recommended to use `self.log",
    # A run shorter than the logging interval still logs its validations.
    "The number of training batches .* is smaller than the logging interval",
    "Checkpoint directory .* exists and is not empty",
    ".*isinstance\\(treespec, LeafSpec\\)",
)


class FinalValidation(pl.Callback):
    """Ends every run with a validation, so that the best and the last checkpoint always exist."""

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Validate a run of 0 steps, which Lightning would neither validate nor save."""
        if trainer.max_steps != 0:
            return
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, ModelCheckpoint):
                callback._last_global_step_saved = -1
        trainer.validating = True
        trainer.fit_loop.epoch_loop.val_loop.run()
        trainer.training = True

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        """Set should_stop at the last step: Lightning validates before that, but not before max_steps."""
        if trainer.global_step >= trainer.max_steps:
            trainer.should_stop = True


class NoProfiler(PassThroughProfiler):
    """PassThroughProfiler without the generator that it makes for each call of a hook."""

    def profile(self, action_name: str) -> AbstractContextManager[str]:  # type: ignore[override]
        """Do nothing."""
        return nullcontext(action_name)


def build_trainer(
    config: DictConfig,
    folder: Path,
    resumed: Resumed | None,
    loss: EnerSpinLoss,
    callbacks: list[pl.Callback],
) -> pl.Trainer:
    """The Lightning trainer with its loggers and callbacks, which all write to the run folder."""
    check_devices(config.trainer)
    loggers = [make(folder=folder, resumed=resumed) for make in build(config.logger).values()]
    chosen = build(config.callbacks)
    check_monitors(chosen, loss)
    with_bar = config.trainer.enable_progress_bar and console.is_terminal
    with_bar = with_bar and "progress_bar" in chosen  # else Lightning would add its own
    if not with_bar:
        chosen.pop("progress_bar", None)
    plain = cast(dict[str, Any], OmegaConf.to_container(config.trainer, resolve=True))
    trainer: pl.Trainer = build(
        DictConfig({key: value for key, value in plain.items() if key != "cuda_graph"}),
        callbacks=[
            *callbacks,
            Settling(),
            FinalValidation(),
            *map(WandbReport, wandb_runs(loggers)),
            *chosen.values(),
        ],
        logger=loggers or False,
        default_root_dir=str(folder),
        enable_progress_bar=with_bar,
        # The potential has its precision already; Lightning's cast would copy every batch.
        precision="32-true",
        val_check_interval=_in_batches(config.trainer),
        accelerator=_accelerator(config.trainer.accelerator),
        **({} if config.trainer.get("profiler") else {"profiler": NoProfiler()}),
    )
    logs = [logger.path for logger in loggers if isinstance(logger, MetricsCsv)]
    trainer.strategy.checkpoint_io = WholeCheckpoints(before=logs)
    if isinstance(trainer.profiler, PyTorchProfiler):  # type: ignore[attr-defined]
        # Its hooks on modules cannot be copied, but potentials are copied for checks.
        trainer.profiler._record_module_names = False  # type: ignore[attr-defined]
    return trainer


def wandb_runs(loggers: Iterable[Logger]) -> list[WandbRun]:
    """The wandb runs among the loggers; they also receive pictures, tables and the checkpoint."""
    return [logger for logger in loggers if isinstance(logger, WandbRun)]


def fit(trainer: pl.Trainer, module: SpinModule, data: SpinDataModule, resumed: Resumed | None) -> None:
    """Train, from the resumed checkpoint if there is one."""
    path = str(resumed.path) if resumed else None
    leave_out_empty_hooks(trainer, module)
    # Objects made so far live until the end, so the garbage collector need not scan them every few steps.
    gc.collect()
    gc.freeze()
    try:
        with signals_kept():
            trainer.fit(module, datamodule=data, ckpt_path=path, weights_only=True)
    except SystemExit as stopped:
        if isinstance(stopped.__context__, KeyboardInterrupt):  # Lightning turns it into SystemExit
            raise KeyboardInterrupt from None
        raise
    finally:
        gc.unfreeze()


def leave_out_empty_hooks(trainer: pl.Trainer, module: pl.LightningModule) -> None:
    """Set unused step hooks to None: Lightning skips those much faster than it calls empty ones."""
    hooks = ("on_train_batch_start", *INSIDE, "on_train_batch_end")
    clipping = ("configure_gradient_clipping",) if trainer.gradient_clip_val is None else ()
    own = [(hook, module, pl.LightningModule) for hook in (*hooks, *clipping)]
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    for hook, owner, parent in (*own, *((hook, c, pl.Callback) for c in callbacks for hook in hooks)):
        if not is_overridden(hook, owner, parent):
            setattr(owner, hook, None)


def leave_checkpoint(trainer: pl.Trainer, folder: Path) -> None:
    """Save the last weights if no callback has saved any, so that no training is lost."""
    if not trainer.strategy.broadcast(checkpoint_file(folder).is_file()):
        trainer.save_checkpoint(folder / LAST)
        print_line(f"No validation saved a checkpoint; {LAST} holds the last weights.")


def quiet_lightning() -> None:
    """Silence Lightning's start-up messages and the warnings that do not apply to these runs."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("pytorch_lightning.profilers").setLevel(logging.INFO)  # the times of debug=profile
    for message in IRRELEVANT_WARNINGS:
        warnings.filterwarnings("ignore", message)


def build(config: DictConfig, **more: Any) -> Any:
    """Instantiate a config section, with plain lists and dicts in place of OmegaConf's."""
    return instantiate(config, _convert_="all", **more)


def _in_batches(trainer: DictConfig) -> Any:
    """The validation interval in batches, so that no checkpoint falls between the batches of one step."""
    interval = trainer.val_check_interval
    return interval * trainer.accumulate_grad_batches if isinstance(interval, int) else interval


def _accelerator(name: str) -> str:
    """`auto` without Apple's GPUs, which have no float64."""
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"
