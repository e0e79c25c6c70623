"""The stages of a run before its first step; each stage returns the input of the next."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from spinpot import kernels
from spinpot.config.validate import PRECISIONS
from spinpot.core.console import print_line
from spinpot.core.errors import InputError
from spinpot.core.notes import Notes
from spinpot.core.quantities import MAIN, SCALED, VIRIAL
from spinpot.data.datamodule import SpinDataModule
from spinpot.data.duplicates import Copy, copies
from spinpot.looks.model import Watch, far_cutoff
from spinpot.looks.sets import look_at_sets
from spinpot.loss.baselines import dataset_errors, spread_of
from spinpot.loss.ener_spin import EnerSpinLoss
from spinpot.loss.heisenberg import Baseline, fitted_to
from spinpot.loss.label_scale import fixed_scale
from spinpot.loss.score import Score
from spinpot.models.elements import magnetic_types
from spinpot.models.energy_bias import energy_bias
from spinpot.models.potential import Potential
from spinpot.models.registry import build_potential
from spinpot.models.settings import ModelSettings
from spinpot.models.spec import Spec
from spinpot.models.start import TrainingLabels
from spinpot.models.training_facts import training_facts
from spinpot.training.callbacks.cuda_graphs import CudaGraphs
from spinpot.training.callbacks.ending import Ending
from spinpot.training.callbacks.saved_start import SavedStart
from spinpot.training.callbacks.step_timer import StepTimer
from spinpot.training.callbacks.stop_on_signal import StopOnSignal
from spinpot.training.checks import check_labels, check_measured, check_optimizer, check_start, check_trained
from spinpot.training.data_summary import print_data_summary
from spinpot.training.init_from import begin_with, model_to_begin_with
from spinpot.training.module import SpinModule
from spinpot.training.ranks import processes
from spinpot.training.remarks import print_remarks
from spinpot.training.resume import (
    Resumed,
    check_not_beyond,
    check_resumed,
    check_steps_left,
    find_checkpoint,
)
from spinpot.training.schedulers import Schedule
from spinpot.training.trainer import build, build_trainer


@dataclass(frozen=True)
class Opened:
    """The config (also as plain data), and the run to resume or the model to start from, if any."""

    config: DictConfig
    plain: dict[str, Any]
    folder: Path
    resumed: Resumed | None
    pretrained: Potential | None


@dataclass(frozen=True)
class Checked(Opened):
    """Everything that is built from the config without the data, after its checks."""

    settings: ModelSettings
    loss: EnerSpinLoss
    schedule: Schedule
    make_optimizer: Callable[..., Any]
    trainer: pl.Trainer
    timer: StepTimer
    stop: StopOnSignal
    graphs: CudaGraphs


@dataclass(frozen=True)
class Frames:
    """The frames, the model spec completed from them, the score, and the data fingerprints."""

    data: SpinDataModule
    spec: Spec
    score: Score
    fingerprints: dict[str, str]


@dataclass(frozen=True)
class Ready:
    """Data, module and baseline of a run, ready to train."""

    data: SpinDataModule
    module: SpinModule
    baseline: Baseline


def opened(config: DictConfig, folder: Path) -> Opened:
    """Read the checkpoint to resume or the model of `init_from`. Raises InputError if it cannot be used."""
    resumed = find_checkpoint(config.resume, folder)
    pretrained = model_to_begin_with(config, resumed)
    plain = cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))
    return Opened(config, plain, folder, resumed, pretrained)


def check_config(start: Opened) -> Checked:
    """Build and check all that does not need the data, because making or reading them takes time."""
    config = start.config
    if start.resumed:
        check_not_beyond(start.resumed, config.trainer.max_steps)
    settings: ModelSettings = build(config.model)
    settings.check()
    loss: EnerSpinLoss = build(config.loss)
    schedule: Schedule = build(config.scheduler)
    schedule.check(config.trainer.max_steps)
    check_start(config, settings, loss)
    make_optimizer = build(config.optimizer)
    timer, stop, graphs = StepTimer(), StopOnSignal(), CudaGraphs(config.trainer.get("cuda_graph", "auto"))
    trainer = build_trainer(config, start.folder, start.resumed, loss, [timer, stop, graphs])
    stop.attach(trainer)
    print_remarks(config, schedule, start.resumed)
    return Checked(
        **vars(start),
        settings=settings,
        loss=loss,
        schedule=schedule,
        make_optimizer=make_optimizer,
        trainer=trainer,
        timer=timer,
        stop=stop,
        graphs=graphs,
    )


def read_frames(checked: Checked) -> Frames:
    """Make, read and check the frames, and count their neighbours."""
    config, resumed = checked.config, checked.resumed
    kernels.build()
    data: SpinDataModule = build(config.data)
    data.prepare_data()
    data.read(processes())
    check_labels(checked.loss, data)
    try:
        spec = settle(checked.settings, data, resumed)
    except InputError as error:
        if config.init_from is None:
            raise
        raise InputError(
            f"init_from={config.init_from}: these data do not fit the model in the file: {error}"
        ) from error
    score = score_of(data, spec, checked.loss)
    check_measured(config, data, score)
    fingerprints = data.fingerprints()
    if resumed:
        older = "sample" not in resumed.config["data"]
        check_resumed(resumed, spec, checked.plain, data.fingerprints(of_all=older))
        check_steps_left(resumed, checked.folder, config.trainer.max_steps)
    return Frames(data, spec, score, fingerprints)


def score_of(data: SpinDataModule, spec: Spec, loss: EnerSpinLoss) -> Score:
    """The score of a loss, in units of the label spread of the validation set."""

    @cache
    def spread(name: str) -> dict[str, float]:
        return dataset_errors(spread_of(data.sampled[name]), data.samples[name], spec.use_spin)

    return Score(loss.active, spread("validation"), lambda: spread("train"))


def settle(settings: ModelSettings, data: SpinDataModule, resumed: Resumed | None) -> Spec:
    """The spec with the values that it takes from the data or from the resumed run."""
    use_spin = magnetic_types(settings.spin.use_spin, data.type_map, data.elements_with_moments())
    spec = settings.spec(data.type_map, use_spin)
    for systems in data.sampled.values():
        spec.check_training(systems)
    if line := far_cutoff(spec.geometry.cutoff, data.sampled["train"]):
        print_line(f"look: {line}")
    spin = settings.spin
    data.make_datasets(
        spec.geometry,
        reversal=spin.time_reversal == "augment",
        rotation=spin.spin_rotation == "augment",
    )
    settled = spec.settled(data.samples["train"].neighbours, resumed.spec if resumed else None)
    data.broken["train"].model = settled
    return settled


def build_run(checked: Checked, frames: Frames) -> Ready:
    """The LightningModule with the initial model."""
    trainer, data, loss = checked.trainer, frames.data, checked.loss
    potential = initial_potential(checked, frames)
    optimizer = check_optimizer(checked.make_optimizer, potential)
    first = trainer.is_global_zero
    found = copies([system for systems in data.sampled.values() for system in systems]) if first else []
    print_data(frames, potential, loss, found if first else None)
    scale = fixed_scale(loss.label_scale_fm, frames.spec.use_spin)
    labels = labels_of(checked, frames, scale)
    check_trained(potential, checked.config.trainer.max_steps)
    if not checked.resumed and not checked.pretrained and (errors := begin(potential, data, labels)):
        trainer.callbacks.append(SavedStart(errors))  # type: ignore[attr-defined]
    baseline = fitted_to(data.sampled["train"], frames.spec, scale, found) if first else Baseline(None, "")
    module = SpinModule(
        potential,
        loss,
        checked.make_optimizer,
        checked.schedule,
        frames.score,
        checked.plain,
        frames.fingerprints,
        baseline.fit,
    )
    trainer.callbacks.append(Ending(labels))  # type: ignore[attr-defined]
    checked.graphs.decide(trainer, module, optimizer)
    return Ready(data, module, baseline)


def initial_potential(checked: Checked, frames: Frames) -> Potential:
    """A potential with the weights of `init_from`, or a new one with the statistics of the training data."""
    data, spec = frames.data, frames.spec
    if checked.pretrained:
        refit = checked.config.init_from_bias == "refit"
        potential = begin_with(checked.pretrained, spec, data, refit)
    else:
        potential = build_potential(spec, checked.config.seed)
        potential.set_statistics(data.samples["train"].batches(), data.sampled["train"])
        if data.sampled["train"] is not data.systems["train"]:
            potential.energy_bias.copy_(torch.from_numpy(energy_bias(data.systems["train"])))
    potential.cover(data.samples["train"].neighbours.closest)
    potential.facts = training_facts(data.sampled["train"], spec.use_spin)
    return potential.set_precision(getattr(torch, PRECISIONS[checked.config.trainer.precision]))


def labels_of(checked: Checked, frames: Frames, scale: Tensor | None) -> TrainingLabels:
    """The training labels, weighted by the limit prefactors of the loss.

    scale: (T,), from a fixed loss.label_scale_fm; a learned scale begins at 1.
    """
    loss, spec = checked.loss, frames.spec
    return TrainingLabels(
        frames.data.sampled["train"],
        spec.geometry,
        dict(zip(loss.active, loss.active_prefactors(0.0), strict=True)),
        loss.penalty.power,
        torch.tensor(spec.use_spin),
        scale,
        checked.config.seed,
        held_out=frames.data.sampled["validation"],
    )


def begin(potential: Potential, data: SpinDataModule, labels: TrainingLabels) -> dict[str, float] | None:
    """Initialise a potential by least squares; print and return its errors. None: it has nothing to fit."""
    lines = potential.start(labels)
    if lines is None:
        return None
    for line in lines:
        print_line(line)
    use_spin = potential.spec.use_spin
    errors = dataset_errors(potential, data.validated, use_spin, data.validation_batch_size, labels.scale)
    of_labels = {
        quantity: errors.get(quantity.rmse + SCALED, errors[quantity.rmse]) for quantity in (*MAIN, VIRIAL)
    }
    parts = [quantity.shown(error) for quantity, error in of_labels.items() if not math.isnan(error)]
    print_line(f"Fitted by least squares, before training: validation rmse {', '.join(parts)}.")
    return errors


def print_data(
    frames: Frames, potential: Potential, loss: EnerSpinLoss, found: Sequence[Copy] | None
) -> None:
    """Print a table of the frames, notes on suspicious ones, and notes on the score.

    found: the duplicate frames; None skips the look at the frames.
    """
    data, spec = frames.data, potential.spec
    print_data_summary(data, spec, loss.labels)
    watch = Watch(spec, potential.facts)
    notes = Notes() if found is None else look_at_sets(data.sampled, watch, found)
    for line in frames.score.notes:
        notes.add(f"look: {line}")
    for name, dataset in data.samples.items():
        if name != "train" and (unlike := spec.unlike_training(dataset.neighbours)):
            notes.add(f"look: {unlike}")
    notes.print()
