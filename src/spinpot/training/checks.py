"""Checks at the start of a run that find errors which would otherwise appear in its middle."""

import math
from collections.abc import Callable
from typing import Any, cast

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from torch.optim import Optimizer

from spinpot.config.sweep_job import sweep_job
from spinpot.core.errors import InputError
from spinpot.core.notes import shortened
from spinpot.core.quantities import OF_LABEL, QUANTITIES, SCALED, SCALED_QUANTITIES
from spinpot.core.spelling import nearest
from spinpot.data.datamodule import SpinDataModule
from spinpot.loss.ener_spin import EnerSpinLoss
from spinpot.loss.score import Score
from spinpot.models.potential import Potential
from spinpot.models.settings import ModelSettings
from spinpot.training.metrics_csv import COLUMNS


def check_start(config: DictConfig, settings: ModelSettings, loss: EnerSpinLoss) -> None:
    """Raise InputError if the initial least-squares fit has no loss term or no coefficients."""
    kind = settings.spec_type.kind
    if settings.spec_type.has_start and not any(loss.active_prefactors(0.0)):
        raise InputError(
            f"A {kind} model is initialised by least squares with the limit prefactors of the loss, but "
            "every limit prefactor is zero. Set at least one, e.g. loss.limit_pref_fr=1."
        )
    if config.trainer.max_steps:
        return
    if config.init_from is not None:
        raise InputError(
            "trainer.max_steps=0 only fits a new model by least squares, but "
            f"init_from={config.init_from} gives a trained one. Leave out one of them."
        )
    if not settings.spec_type.has_start and not settings.exchange.terms:
        raise InputError(
            f"trainer.max_steps=0: a {kind} model without an exchange term has no coefficients that are "
            "fitted before the first step. Expected at least 1 step; or use model=native_spin."
        )


def check_trained(potential: Potential, max_steps: int) -> None:
    """Raise InputError if max_steps > 0 but the model has no parameters to train."""
    if max_steps and not potential.n_parameters():
        raise InputError(
            f"trainer.max_steps={max_steps}, but this model has no parameters to train: least squares alone "
            "determines its weights. Use trainer.max_steps=0, or make the linear weights trainable with "
            "model.linear=free."
        )


def check_labels(loss: EnerSpinLoss, data: SpinDataModule) -> None:
    """Raise InputError if no term of the loss has any label in the training or the validation data."""
    wanted = loss.labels
    for part in ("train", "validation"):
        present = {label for system in data.systems[part] for label in system.labels}
        if not wanted & present:
            raise InputError(
                f"The loss needs labels of {', '.join(sorted(wanted))}, but the data of data.{part} have "
                f"{'only ' + ', '.join(sorted(present)) if present else 'no labels at all'}. Add labels to "
                f"{shortened(data.folders[part])}, or turn on a loss term that has labels by setting its "
                "prefactors, e.g. loss.start_pref_v=1."
            )


def check_devices(trainer: DictConfig) -> None:
    """Raise InputError for a missing GPU, before Lightning falls back to the CPU or fails."""
    on_gpu = torch.cuda.is_available() and trainer.accelerator != "cpu"
    if trainer.get("cuda_graph") is True and not on_gpu:
        raise InputError(
            "trainer.cuda_graph=true, but the run does not use a CUDA GPU. Use trainer.cuda_graph=auto."
        )
    if torch.cuda.is_available():
        return
    if trainer.accelerator in ("gpu", "cuda", "mps"):
        raise InputError(
            f"trainer.accelerator={trainer.accelerator}, but PyTorch sees no CUDA GPU on this machine. "
            "Use trainer.accelerator=cpu, or install a build of PyTorch for your GPU and its driver. Apple's "
            "GPUs have no float64, which energies need."
        )
    if trainer.accelerator == "auto" and trainer.devices not in ("auto", 1, -1, "1", "-1"):
        raise InputError(
            f"trainer.devices={trainer.devices}, but PyTorch sees no GPU on this machine. Use "
            "trainer.devices=1; or, to run that many processes on the CPU, add trainer.accelerator=cpu."
        )


def check_monitors(callbacks: dict[str, pl.Callback], loss: EnerSpinLoss) -> None:
    """Raise InputError if a callback monitors a quantity that is never logged."""
    scaled = SCALED_QUANTITIES if loss.label_scale_fm is not None else ()
    logged = [*COLUMNS, *(f"val/{quantity.rmse}" for quantity in scaled)]
    for name, callback in callbacks.items():
        monitor = getattr(callback, "monitor", None)
        if monitor is not None and monitor not in logged:
            raise InputError(
                f"callbacks.{name}.monitor={monitor}: no such quantity.{nearest(monitor, logged)} "
                f"Choose from {', '.join(logged)}."
            )


def check_measured(config: DictConfig, data: SpinDataModule, score: Score) -> None:
    """Raise InputError if a callback or a sweep monitors a quantity without labels in these data."""
    watched = {
        f"callbacks.{name}.monitor={section.monitor}": section.monitor
        for name, section in config.callbacks.items()
        if section and section.get("monitor")
    }
    if sweep_job() or config.optimized_metric != "score":
        watched[f"optimized_metric={config.optimized_metric}"] = f"val/{config.optimized_metric}"
    for setting, monitor in watched.items():
        part, _, name = monitor.partition("/")
        quantity = name.partition("_")[2].removesuffix(SCALED)
        if name == "score" and not score.units:
            raise InputError(
                f"{setting}: there is no score, because no label in the loss varies in the validation or the "
                "training data. Choose another quantity, e.g. val/loss, or add frames."
            )
        if quantity in QUANTITIES and not _measured(quantity, part, data, score):
            raise InputError(no_labels(setting, quantity, "training" if part == "train" else "validation"))


def _measured(quantity: str, part: str, data: SpinDataModule, score: Score) -> bool:
    if part == "train":
        return any(QUANTITIES[quantity].label in system.labels for system in data.systems["train"])
    return not math.isnan(score.spread[QUANTITIES[quantity].rmse])


def no_labels(setting: str, quantity: str, part: str) -> str:
    """The message about a setting that names a quantity without labels."""
    label, carrier = OF_LABEL[QUANTITIES[quantity].label].title, QUANTITIES[quantity].carrier
    lacking = f"{label} on {carrier}" if carrier else label
    return f"{setting}: the {part} data have no {lacking}. Choose another quantity, e.g. the score."


def check_optimizer(make: Callable[..., Any], potential: Potential) -> Optimizer:
    """The optimizer of a potential. Raises InputError if its settings are invalid."""
    try:
        return cast(Optimizer, make(potential.parameters()))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"The settings of the optimizer are invalid: {error}. Correct the section optimizer."
        ) from error
