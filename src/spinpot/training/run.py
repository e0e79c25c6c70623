"""One training run from a composed config: data → model → fit → test → the run folder's files."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, cast

import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities import rank_zero_only

from spinpot import native
from spinpot.core.console import console
from spinpot.core.errors import InputError, TrainingError
from spinpot.core.files import alone_in, cannot_write, no_room
from spinpot.data.datamodule import SpinDataModule
from spinpot.data.dataset import Geometry
from spinpot.looks.model import Watch
from spinpot.looks.sets import look_at_sets
from spinpot.loss.ener_spin import EnerSpinLoss
from spinpot.loss.heisenberg import Baseline
from spinpot.loss.score import Score
from spinpot.models.checkpoint import LAST, SCORE
from spinpot.models.deepspin.potential import SpinPotential
from spinpot.models.deepspin.settings import ModelSettings, ModelSpec
from spinpot.models.deepspin.sizes import check_rcut, settle_sel
from spinpot.models.deepspin.spin import check_moments, magnetic_types, virtual_scales
from spinpot.models.deepspin.statistics import set_statistics
from spinpot.models.training_facts import training_facts
from spinpot.report.tables import (
    print_changes,
    print_data_summary,
)
from spinpot.training.again import make_missing_report
from spinpot.training.callbacks.cuda_graphs import CudaGraphs
from spinpot.training.callbacks.step_timer import StepTimer
from spinpot.training.callbacks.stop_on_signal import StopOnSignal
from spinpot.training.checks import (
    check_labels,
    check_measured,
    check_optimizer,
    precision_of,
    total_steps_of,
)
from spinpot.training.exchange_start import begin_with_exchange
from spinpot.training.finish import finish
from spinpot.training.init_from import begin_with, model_to_begin_with
from spinpot.training.measures import heisenberg_baseline, notes_on_measures, score_of
from spinpot.training.module import SpinModule
from spinpot.training.ranks import all_ready
from spinpot.training.remarks import print_early_end, print_remarks
from spinpot.training.resume import (
    Resumed,
    changed_data,
    check_same_model,
    check_same_optimizer,
    check_same_parameters,
    check_steps_left,
    config_differences,
    find_checkpoint,
    summary_of_finished,
)
from spinpot.training.run_folder import RunFolder
from spinpot.training.trainer import (
    build,
    build_trainer,
    fit,
    leave_checkpoint,
    quiet_lightning,
    stop_run,
    wandb_runs,
)


def train(config: DictConfig, folder: Path) -> dict[str, Any]:
    """Train as the config says and leave config, metrics, checkpoints and summary in the folder.

    Returns what summary.json holds. Raises InputError before anything is written if the config or the data
    cannot be used or another process trains in the folder, and TrainingError if the run diverges or the disk
    is full.
    """
    first = rank_zero_only.rank == 0  # type: ignore[attr-defined]
    try:
        with alone_in(folder) if first else nullcontext(), _a_full_disk_in_words(folder):
            return _train(config, folder)
    finally:
        gc.collect()  # the trainer, its loops and the data hold each other


@contextmanager
def _a_full_disk_in_words(folder: Path) -> Iterator[None]:
    """A file that could not be written for want of room as a TrainingError, which says how to go on."""
    try:
        yield
    except OSError as error:
        if not no_room(error) or not (folder / LAST).exists():
            raise
        raise TrainingError(
            f"{cannot_write(error)} The run stopped; resume=auto continues it from {folder / LAST}."
        ) from error


def _train(config: DictConfig, folder: Path) -> dict[str, Any]:
    quiet_lightning()
    resumed = find_checkpoint(config.resume, folder)
    pretrained = model_to_begin_with(config, resumed)
    plain = cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))
    total_steps = total_steps_of(config)
    if resumed and (summary := summary_of_finished(resumed, folder, plain)):
        complete(folder)
        return summary
    # What can be known to be wrong without the data comes first: making or reading them takes time.
    precision = precision_of(config)
    settings: ModelSettings = build(config.model)
    settings.check()
    loss: EnerSpinLoss = build(config.loss)
    schedule = build(config.scheduler)
    schedule.check(total_steps)
    make_optimizer = build(config.optimizer)
    run_folder = RunFolder(folder, resumed)
    timer, stop, graphs = StepTimer(), StopOnSignal(), CudaGraphs(config.trainer.get("cuda_graph", "auto"))
    trainer = build_trainer(config, run_folder, resumed, loss, [timer, stop, graphs])
    stop.attach(trainer)
    print_remarks(config, schedule, total_steps, resumed)

    data: SpinDataModule = build(config.data)
    data.prepare_data()
    data.read()
    check_labels(loss, data)
    try:
        spec = read_data(settings, data, resumed)
    except InputError as error:
        raise _of_file(error, config.init_from) from error
    score = score_of(data, spec, loss)
    check_measured(config, data, score)
    fingerprints = data.fingerprints()
    if resumed:
        check_resumed(resumed, spec, plain, fingerprints)
        check_steps_left(resumed, folder, total_steps)
    if trainer.strategy.root_device.type == "cpu":
        native.build()
    potential = initial_potential(config, pretrained, spec, data, precision)
    optimizer = check_optimizer(make_optimizer, potential)
    print_data(data, potential, loss, score, looks=trainer.is_global_zero)
    if potential.exchange is not None and not resumed and not pretrained:
        begin_with_exchange(potential, data, loss)

    baseline = heisenberg_baseline(data, spec, loss) if trainer.is_global_zero else Baseline(None, "")
    module = SpinModule(potential, loss, make_optimizer, schedule, score, plain, fingerprints, baseline.fit)
    graphs.decide(trainer, module, data, optimizer)
    all_ready()
    run_folder.write_config(config)
    try:
        fit(trainer, module, data, resumed)
        if stop.received:
            stop_run(trainer, stop)
        leave_checkpoint(trainer, run_folder)
        print_early_end(trainer)
        if not trainer.is_global_zero:
            return {}
        summary = finish(run_folder, trainer, timer, graphs, data, baseline, loss.active, plain, score)
    except BaseException:
        for logger in trainer.loggers:
            logger.finalize("failed")
        raise
    for run in wandb_runs(trainer.loggers):
        run.end(summary, run_folder.best_checkpoint)
    return summary


def check_resumed(
    resumed: Resumed, spec: ModelSpec, config: dict[str, Any], fingerprints: dict[str, str]
) -> None:
    """Refuse a checkpoint of another model or optimizer; print which settings and data changed."""
    check_same_model(resumed, spec)
    check_same_optimizer(resumed, config)
    check_same_parameters(resumed, config)
    print_changes(config_differences(resumed, config), changed_data(resumed, fingerprints))
    if resumed.score != SCORE:
        console.print(
            f"look: {resumed.path.name} is of a version whose val/score meant something else "
            "(docs/score.md), so best.ckpt may not be the best. To choose anew, begin in another folder with "
            "init_from.",
            soft_wrap=True,
        )


@rank_zero_only
def complete(folder: Path) -> None:
    """Give a finished run what of its page and pictures is missing, and remove what a kill has left."""
    RunFolder(folder, None).remove_leftovers()
    make_missing_report(folder)


def _of_file(error: InputError, init_from: str | None) -> InputError:
    """An error about data that do not suit the model, where that is a file's."""
    if init_from is None:
        return error
    return InputError(f"init_from={init_from}: these data do not suit its model, which is fixed: {error}")


def read_data(settings: ModelSettings, data: SpinDataModule, resumed: Resumed | None) -> ModelSpec:
    """Settle what the model takes from the data, or from the run it goes on with, and find the pairs."""
    use_spin = magnetic_types(settings.spin.use_spin, data.type_map, data.elements_with_moments())
    scales = virtual_scales(settings.spin, use_spin, settings.descriptor.rcut)
    descriptor = settings.descriptor
    exact, augmented = (settings.spin.time_reversal == kind for kind in ("exact", "augment"))
    spec = ModelSpec(
        data.type_map,
        descriptor,
        settings.fitting_net,
        use_spin,
        scales,
        settings.exchange,
        time_reversal=exact,
    )
    for systems in data.systems.values():
        check_rcut(descriptor.rcut, systems)
        check_moments(spec, systems)
    geometry = Geometry(descriptor.rcut, use_spin, scales, descriptor.exclude_types, any_direction=exact)
    data.find_pairs(geometry, reversal=augmented, rotation=settings.spin.spin_rotation == "augment")
    if resumed and spec.descriptor.sel == "auto":
        spec = spec.with_sel(resumed.model["descriptor"]["sel"])
    return settle_sel(spec, data.datasets["train"])


def initial_potential(
    config: DictConfig,
    pretrained: SpinPotential | None,
    spec: ModelSpec,
    data: SpinDataModule,
    precision: torch.dtype,
) -> SpinPotential:
    """The potential that training begins with: another model's, or a fresh one."""
    if pretrained:
        potential = begin_with(pretrained, spec, data, precision, config.init_from_bias == "refit")
    else:
        potential = build_potential(spec, data, config.seed, precision)
    potential.facts = training_facts(data.systems["train"], spec.use_spin)
    return potential


def print_data(
    data: SpinDataModule, potential: SpinPotential, loss: EnerSpinLoss, score: Score, looks: bool
) -> None:
    """The frames in a table, what is odd about them, and how errors are measured."""
    print_data_summary(data, potential.spec, loss.labels)
    if looks:
        look_at_sets(data.systems, Watch(potential.spec, potential.facts)).print()
    notes_on_measures(data, potential.spec, score).print()


def build_potential(spec: ModelSpec, data: SpinDataModule, seed: int, dtype: torch.dtype) -> SpinPotential:
    """A potential with fresh weights and the statistics of the training data."""
    potential = SpinPotential(spec, seed)
    set_statistics(potential, data.datasets["train"], data.systems["train"])
    return potential.set_precision(dtype)
