"""The LightningModule: one training step, one validation step, the optimizer and its schedule."""

import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.strategies import ParallelStrategy
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from spinpot.core.errors import TrainingError
from spinpot.core.quantities import ERRORS, MAIN, QUANTITIES, SCALED
from spinpot.data.batch import Batch
from spinpot.data.datamodule import SpinDataModule
from spinpot.loss.ener_spin import EnerSpinLoss
from spinpot.loss.heisenberg import HeisenbergFit
from spinpot.loss.label_scale import LabelScale
from spinpot.loss.metrics import ErrorMetric
from spinpot.loss.score import Score
from spinpot.models.checkpoint import ENTRY, HEISENBERG, LAST, checkpoint_entry
from spinpot.models.potential import Potential
from spinpot.models.upgrades import upgrade
from spinpot.training.resume import follow_moved_folder
from spinpot.training.schedulers import Schedule
from spinpot.training.step import Done, EagerStep, Objective, Step

IN_BAR = {f"{part}/{quantity.rmse}" for part in ("train", "val") for quantity in MAIN}
"""Names of the errors shown in the progress bar."""


class SpinModule(pl.LightningModule):
    """Trains a potential with a loss whose prefactors follow the learning rate.

    optimizer: makes the optimizer from the parameters.
    score: computes `val/score` from the errors of a validation.
    step: makes the training steps; eager unless the callback CudaGraphs has installed recorded ones.
    config: the resolved config as plain data, stored in checkpoints.
    fingerprints: of the training and the validation data, stored in checkpoints.
    heisenberg: the Heisenberg fit, stored in checkpoints; None if there is none.
    errors: of the last validation, over all processes.
    """

    magnetic: Tensor

    def __init__(
        self,
        potential: Potential,
        loss: EnerSpinLoss,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        schedule: Schedule,
        score: Score,
        config: dict[str, Any],
        fingerprints: dict[str, str],
        heisenberg: HeisenbergFit | None = None,
    ) -> None:
        super().__init__()
        self.potential = potential
        self.loss = loss
        self.make_optimizer = optimizer
        self.schedule = schedule
        self.score = score
        self.config = config
        self.fingerprints = fingerprints
        self.heisenberg = heisenberg
        spec = potential.spec
        setting = loss.label_scale_fm
        self.label_scale = None if setting is None else LabelScale(setting, spec.use_spin)
        self.register_buffer("magnetic", torch.tensor(spec.use_spin), persistent=False)
        self.errors: dict[str, float] = {}
        self.watched = potential.watched_parameters()
        self.step: Step | None = None
        self._last_lr_ratio: float | None = None
        self._row: dict[str, float] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        """Like nn.Module, but fast for private attributes, which Lightning sets at every hook."""
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """The optimizer with one LambdaLR, stepped after every optimizer step."""
        optimizer = self.make_optimizer(self.parameters())
        self.scheduler = LambdaLR(optimizer, self.schedule.factor(self.trainer.max_steps))
        self._settings = [
            {name: value for name, value in group.items() if name != "params"}
            for group in optimizer.param_groups
        ]
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": self.scheduler, "interval": "step"}}

    def on_fit_start(self) -> None:
        """Set eager steps; a callback may replace them."""
        strategy = self.trainer.strategy
        processes = strategy if isinstance(strategy, ParallelStrategy) else None
        objective = Objective(self.potential, self.loss, self.magnetic, self.label_scale, processes)
        self.step = EagerStep(objective, self.watched)

    def on_train_start(self) -> None:
        """Restore the optimizer settings of the config, which a resumed checkpoint has overwritten."""
        scheduler = self.scheduler
        factor = scheduler.lr_lambdas[0](scheduler.last_epoch)
        scheduler.base_lrs = [settings["initial_lr"] for settings in self._settings]
        scheduler._last_lr = [base * factor for base in scheduler.base_lrs]
        for group, settings, lr in zip(
            scheduler.optimizer.param_groups, self._settings, scheduler._last_lr, strict=True
        ):
            group.update(settings, lr=lr)

    @property
    def log_interval(self) -> int:
        """Steps between two logged ones."""
        return int(self.trainer.log_every_n_steps)  # type: ignore[attr-defined]

    def lr_ratio(self) -> float:
        """The current lr(t)/lr(0) of the scheduler."""
        return float(self.scheduler.get_last_lr()[0]) / float(self.scheduler.base_lrs[0])

    def training_step(self, given: Any, batch_idx: int) -> Tensor | None:
        """Make a step; returns its loss, or None if the step has included the gradient and the optimizer."""
        assert self.step is not None
        ratio = self._last_lr_ratio = self.lr_ratio()
        number = self.global_step + 1
        done = self.step(given, ratio, number)
        if number % self.log_interval == 0:
            self._row = self._training_row(done, ratio)
        return done.loss if done.loss.requires_grad else None

    # Lightning reads the signature in every step; a stored one is faster.
    training_step.__signature__ = inspect.signature(training_step)  # type: ignore[attr-defined]

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Stop before a NaN reaches the weights; otherwise log the step."""
        self.stop_if_diverged()
        if self._row:
            self._log_now(self._row)
            self._row = {}

    def stop_if_diverged(self, wait: bool = False) -> None:
        """Raise TrainingError if a step failed. wait: check all steps so far, also those still running."""
        if self.step is not None and (failure := self.step.failure(wait)):
            raise self._diverged(*failure)

    def on_validation_epoch_start(self) -> None:
        """Reset the sums over the validation set."""
        self.stop_if_diverged(wait=True)
        self._val_errors = ErrorMetric(self.potential.spec.type_map, self.magnetic)
        self._val_terms = self._val_errors.sums.new_zeros(2, len(self.loss.active))

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Add one batch to the sums over the validation set; its prediction goes to the callbacks."""
        prediction: dict[str, Tensor] = self.potential(batch)
        self._val_errors.update(prediction, batch, self._scale())
        sums = self.loss.sums(prediction, batch, self.magnetic, self._scale())
        self._val_terms += torch.stack([part.detach().double() for part in sums])
        return prediction

    def on_validation_epoch_end(self) -> None:
        """Log the errors over the whole validation set."""
        self.errors = self._val_errors.compute(self._over_processes)
        totals, counts = self._over_processes(self._val_terms).tolist()
        terms = zip(self.loss.active, totals, counts, strict=True)
        # The prefactors of the last step, whose row contains this validation; the scheduler is one step
        # ahead.
        ratio = self.lr_ratio() if self._last_lr_ratio is None else self._last_lr_ratio
        prefactors = self.loss.prefactors_at(ratio)
        known = [prefactors[name] * (total / count) for name, total, count in terms if count > 0]
        row = {"step": self.global_step, **_prefactors(prefactors), "val/loss": sum(known)}
        measured = {name: _number(value) for name, value in row.items()} | self.validated(self.errors)
        for name, value in measured.items():
            self.log(name, value, prog_bar=name in IN_BAR)

    def validated(self, errors: dict[str, float]) -> dict[str, Tensor]:
        """The score and the errors on the validation set, as they are logged."""
        row = {"val/score": self.score(errors), **self._errors("val", errors)}
        return {name: _number(value) for name, value in row.items()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Load the state beside the weights; find the best checkpoint even if the run folder was moved."""
        upgrade(checkpoint, "the checkpoint")
        self.potential.load_state(checkpoint[ENTRY]["state"])
        saver = self.trainer.checkpoint_callback
        if isinstance(saver, ModelCheckpoint) and saver.dirpath:
            follow_moved_folder(checkpoint["callbacks"], Path(saver.dirpath))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the entries that rebuild the potential without this module."""
        self.stop_if_diverged(wait=True)
        checkpoint.update(checkpoint_entry(self.potential, self.config, self.fingerprints))
        if self.heisenberg is not None:
            checkpoint[ENTRY][HEISENBERG] = self.heisenberg.as_dict()

    def _over_processes(self, sums: Tensor) -> Tensor:
        total: Tensor = self.trainer.strategy.reduce(sums, reduce_op="sum")
        return total

    def _scale(self) -> Tensor | None:
        return None if self.label_scale is None else self.label_scale()

    def _training_row(self, done: Done, ratio: float) -> dict[str, float]:
        errors = ErrorMetric(self.potential.spec.type_map, self.magnetic)
        errors.update(done.prediction, done.batch, done.scale)
        row = {"lr": float(self.scheduler.get_last_lr()[0]), **_prefactors(self.loss.prefactors_at(ratio))}
        if self.label_scale is not None:
            numbers = self.label_scale.by_element(self.potential.spec.type_map, done.scale)
            row |= {f"label_scale_fm/{element}": number for element, number in numbers.items()}
        loss = done.loss.detach().clone()
        row["train/loss"] = float(self.trainer.strategy.reduce(loss, reduce_op="mean"))
        return row | self._errors("train", errors.compute(self._over_processes))

    def _log_now(self, row: dict[str, float]) -> None:
        """Log like self.log, but faster: Lightning processes everything once logged again in later steps."""
        step = self.global_step + 1
        self.log("step", _number(step))  # Lightning uses it for the metrics that callbacks log
        self.trainer.callback_metrics.update({name: _number(value) for name, value in row.items()})
        self.trainer.progress_bar_metrics.update({name: row[name] for name in IN_BAR if name in row})
        for logger in self.trainer.loggers:
            logger.log_metrics(row, step=step)
            logger.save()

    def _errors(self, prefix: str, errors: dict[str, float]) -> dict[str, float]:
        # Keep a NaN if a batch lacks labels that other batches have: without it, the progress bar would
        # repeat the last value. Keep a NaN validation error likewise. Leave out errors that can never have
        # labels.
        spread = self.score.spread if prefix == "val" else {}
        unknown = {name for name, value in spread.items() if math.isnan(value)}
        names = (quantity.rmse for quantity in ERRORS.values() if quantity.rmse in errors)
        return {
            f"{prefix}/{name}": errors[name] for name in names if name.removesuffix(SCALED) not in unknown
        }

    def _diverged(self, step: int, places: Sequence[tuple[str, int]]) -> TrainingError:
        frames = ", ".join(f"{name} frame {index}" for name, index in places[:8])
        more = len(places) - 8
        return TrainingError(
            f"The gradient of the loss is not finite at step {step}. Frames of the batch: "
            f"{frames}{f' and {more} more' if more > 0 else ''}. {self._last_checkpoint()} Check these "
            "frames for wrong labels and overlapping atoms, lower scheduler.start_lr, or set "
            "trainer.gradient_clip_val."
        )

    def _last_checkpoint(self) -> str:
        folder = getattr(self.trainer.checkpoint_callback, "dirpath", None)
        path = Path(folder or "") / LAST.name
        if not path.is_file():
            return "There is no checkpoint yet."
        return f"The last good checkpoint is {path}."


def parts_of(trainer: pl.Trainer, module: pl.LightningModule) -> tuple[SpinModule, SpinDataModule]:
    """The SpinModule and the SpinDataModule of a trainer, typed as such."""
    data = trainer.datamodule  # type: ignore[attr-defined]
    assert isinstance(module, SpinModule)
    assert isinstance(data, SpinDataModule)
    return module, data


def _prefactors(prefactors: dict[str, float]) -> dict[str, float]:
    return {QUANTITIES[name].pref: value for name, value in prefactors.items()}


def _number(value: float) -> Tensor:
    """A float64 tensor; Lightning would make float32."""
    return torch.tensor(value, dtype=torch.float64)
