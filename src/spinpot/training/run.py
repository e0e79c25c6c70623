"""One training run from a composed config: data → model → fit → test → the run folder's files."""

from __future__ import annotations

import gc
import logging
import math
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from spinpot import native
from spinpot.checkpoint import LAST, label_scale_of, potential_from, read_checkpoint
from spinpot.console import console
from spinpot.data.batch import collate
from spinpot.data.datamodule import SpinDataModule
from spinpot.data.dataset import Geometry
from spinpot.errors import InputError, TrainingError
from spinpot.files import alone_in, cannot_write, no_room
from spinpot.looks.model import Watch
from spinpot.looks.sets import look_at_sets
from spinpot.loss.ener_spin import EnerSpinLoss
from spinpot.loss.heisenberg import Baseline
from spinpot.loss.score import Score, verdict
from spinpot.model.collocation_check import collocation_errors
from spinpot.model.potential import SpinPotential
from spinpot.model.settings import ModelSettings, ModelSpec
from spinpot.model.sizes import check_rcut, settle_sel
from spinpot.model.spin import check_moments, magnetic_types, virtual_scales
from spinpot.model.statistics import set_statistics
from spinpot.model.training_facts import training_facts
from spinpot.provenance import device_name, git_commit, versions
from spinpot.report.again import make_missing_report
from spinpot.report.page import REPORT
from spinpot.report.run_page import write_run_report
from spinpot.report.tables import (
    print_changes,
    print_data_summary,
    print_errors,
    print_label_scale,
)
from spinpot.training.callbacks.collocation_nodes import CollocationNodes
from spinpot.training.callbacks.cuda_graphs import CudaGraphs
from spinpot.training.callbacks.final_validation import FinalValidation
from spinpot.training.callbacks.step_timer import StepTimer
from spinpot.training.callbacks.stop_on_signal import StopOnSignal, signals_kept
from spinpot.training.callbacks.wandb_report import WandbReport
from spinpot.training.checkpoint_io import WholeCheckpoints
from spinpot.training.checks import (
    check_devices,
    check_labels,
    check_measured,
    check_monitors,
    check_optimizer,
    no_labels,
    precision_of,
    total_steps_of,
)
from spinpot.training.exchange_start import begin_with_exchange
from spinpot.training.init_from import begin_with, model_to_begin_with
from spinpot.training.measures import heisenberg_baseline, notes_on_measures, score_of
from spinpot.training.metrics_csv import MetricsCsv
from spinpot.training.module import SpinModule
from spinpot.training.no_profiler import NoProfiler
from spinpot.training.outcome import columns_of, errors_of, outcomes
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
from spinpot.training.wandb_run import WandbRun


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
        check_same_model(resumed, spec)
        check_same_optimizer(resumed, plain)
        check_same_parameters(resumed, plain)
        check_steps_left(resumed, folder, total_steps)
        print_changes(config_differences(resumed, plain), changed_data(resumed, fingerprints))
    if trainer.strategy.root_device.type == "cpu":
        native.build()
    if pretrained:
        potential = begin_with(pretrained, spec, data, precision, config.init_from_bias == "refit")
    else:
        potential = build_potential(spec, data, config.seed, precision)
    potential.facts = training_facts(data.systems["train"], spec.use_spin)
    optimizer = check_optimizer(make_optimizer, potential)
    print_data_summary(data, spec, loss.labels)
    if trainer.is_global_zero:
        look_at_sets(data.systems, Watch(spec, potential.facts)).print()
    notes_on_measures(data, spec, score).print()
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


def build_potential(spec: ModelSpec, data: SpinDataModule, seed: int, dtype: torch.dtype) -> SpinPotential:
    """A potential with fresh weights and the statistics of the training data."""
    potential = SpinPotential(spec, seed)
    set_statistics(potential, data.datasets["train"], data.systems["train"])
    return potential.set_precision(dtype)


def build_trainer(
    config: DictConfig,
    folder: RunFolder,
    resumed: Resumed | None,
    loss: EnerSpinLoss,
    callbacks: list[pl.Callback],
) -> pl.Trainer:
    """The Lightning trainer with its loggers and callbacks, all of them writing to the run folder."""
    check_devices(config.trainer)
    loggers = [make(folder=folder.path, resumed=resumed) for make in build(config.logger).values()]
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
            CollocationNodes(),
            FinalValidation(),
            *map(WandbReport, wandb_runs(loggers)),
            *chosen.values(),
        ],
        logger=loggers or False,
        default_root_dir=str(folder.path),
        enable_progress_bar=with_bar,
        # The potential has its precision already; Lightning's own cast would copy every batch.
        precision="32-true",
        val_check_interval=_in_batches(config.trainer),
        accelerator=_accelerator(config.trainer.accelerator),
        **({} if config.trainer.get("profiler") else {"profiler": NoProfiler()}),
    )
    logs = [logger.path for logger in loggers if isinstance(logger, MetricsCsv)]
    trainer.strategy.checkpoint_io = WholeCheckpoints(before=logs)
    return trainer


def wandb_runs(loggers: Iterable[Logger]) -> list[WandbRun]:
    """Those of the loggers that are wandb runs: they get more than numbers."""
    return [logger for logger in loggers if isinstance(logger, WandbRun)]


def fit(trainer: pl.Trainer, module: SpinModule, data: SpinDataModule, resumed: Resumed | None) -> None:
    """Train, from the resumed checkpoint if there is one."""
    path = str(resumed.path) if resumed else None
    # What is there by now stays till the end: the garbage collector need not look at it every few steps.
    gc.collect()
    gc.freeze()
    try:
        with signals_kept():
            trainer.fit(module, datamodule=data, ckpt_path=path, weights_only=True)
    except SystemExit as stopped:
        if isinstance(stopped.__context__, KeyboardInterrupt):  # which Lightning makes a failure of
            raise KeyboardInterrupt from None
        raise
    finally:
        gc.unfreeze()


def leave_checkpoint(trainer: pl.Trainer, folder: RunFolder) -> None:
    """Save the last weights where no callback has saved any, so that no training is lost."""
    if not trainer.strategy.broadcast(folder.best_checkpoint.is_file()):
        trainer.save_checkpoint(folder.path / LAST)
        console.print(f"No validation was saved: {LAST} holds the last weights.", soft_wrap=True)


def stop_run(trainer: pl.Trainer, stop: StopOnSignal) -> None:
    """End the program after a signal, all processes together."""
    for logger in trainer.loggers:
        logger.finalize("failed")
    if stop.together:  # Lightning kills the first process when another ends before it
        trainer.strategy.barrier()
    stop.exit(trainer.global_step)


def quiet_lightning() -> None:
    """Silence what Lightning says at every start and what does not hold for these runs."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # The order of the frames is a function of the step, so a run resumed in mid-epoch does go on exactly.
    warnings.filterwarnings("ignore", "You're resuming from a checkpoint that ended before the epoch ended")
    warnings.filterwarnings("ignore", ".*does not have many workers")
    # What is logged is the same number on all processes already.
    warnings.filterwarnings("ignore", "It is recommended to use `self.log")
    # The errors of a run shorter than the interval are those of its validations.
    warnings.filterwarnings(
        "ignore", "The number of training batches .* is smaller than the logging interval"
    )
    warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")
    warnings.filterwarnings("ignore", ".*isinstance\\(treespec, LeafSpec\\)")


def build(config: DictConfig, **more: Any) -> Any:
    """What a config section describes, with plain lists and dicts in place of OmegaConf's."""
    return instantiate(config, _convert_="all", **more)


def finish(
    folder: RunFolder,
    trainer: pl.Trainer,
    timer: StepTimer,
    graphs: CudaGraphs,
    data: SpinDataModule,
    baseline: Baseline,
    trained: list[str],
    config: dict[str, Any],
    score: Score,
) -> dict[str, Any]:
    """The best checkpoint's errors beside the baselines, printed and written: summary, pictures and page."""
    checkpoint = read_checkpoint(folder.best_checkpoint)
    potential = potential_from(checkpoint, folder.best_checkpoint)
    scale = label_scale_of(checkpoint)
    by_element = scale.by_element(data.type_map) if scale else None
    found = outcomes(potential, data, baseline.fit, scale().detach() if scale else None)
    for name, outcome in found.items():
        print_errors(f"Errors on the {name} set ({outcome.frames} frames)", columns_of(outcome), trained)
    console.print(baseline.words, markup=False, soft_wrap=True)
    print_label_scale(by_element)
    summary = {
        "steps": trainer.global_step,
        "seconds_per_step": timer.seconds_per_step,
        "train_seconds": timer.train_seconds,
        "finished": datetime.now().astimezone().isoformat(timespec="seconds"),
        "device": device_name(trainer.strategy.root_device, trainer.world_size),
        **({"cuda_graph": graphs.outcome} if graphs.outcome else {}),
        "checkpoint": {"file": folder.best_checkpoint.name, "step": checkpoint["global_step"]},
        "loss_terms": trained,
        **errors_of(found, score),
        "heisenberg_fit": baseline.words,
        **({"label_scale_fm": by_element} if by_element else {}),
        "model": potential.describe(),
        "collocation": interpolation(potential, data),
        "data": data.describe(),
        "git_commit": git_commit(),
        "versions": versions(),
    }
    validation = data.systems["validation"], found["validation"].predictions
    try:
        write_run_report(folder.path, *validation, summary, config)
    finally:
        # Last, since it says that the run is finished; but the numbers must not be lost with a picture.
        folder.write_summary(summary)
    if useless := verdict(summary["val"]["score"], summary["score_terms"]):
        console.print(useless, markup=False, soft_wrap=True)
    console.print(f"Written: {folder.path / REPORT}", markup=False, soft_wrap=True)
    return summary


def interpolation(potential: SpinPotential, data: SpinDataModule) -> dict[str, Any] | None:
    """Nodes and errors of the interpolated embedding on a validation frame, printed; None without it."""
    if potential.descriptor.radial == "direct":
        return None
    errors = collocation_errors(potential, collate([data.datasets["validation"][0]]))
    console.print(
        f"Embedding interpolated between up to {errors.most} nodes: energies within {errors.energy:.0e} "
        f"eV/atom, forces within {errors.force:.0e} eV/Å of the direct evaluation.",
        soft_wrap=True,
    )
    return asdict(errors)


def optimized_metric(name: str, summary: dict[str, Any]) -> float | None:
    """What a sweep minimises, from a run's summary: infinite where it is not a finite number.

    None on processes that have no summary. Raises InputError if the validation data have no labels for it.
    """
    if not summary:
        return None
    value = summary["val"].get(name)
    if value is not None:
        return float(value)
    spread = summary["baselines"]["val"]["labels_spread"]
    if name != "score" and spread.get(name) is None:
        raise InputError(no_labels(f"optimized_metric={name}", name.partition("_")[2], "validation"))
    return math.inf


def _in_batches(trainer: DictConfig) -> Any:
    """The validation interval as Lightning counts it: a checkpoint never falls between two steps' batches."""
    interval = trainer.val_check_interval
    return interval * trainer.accumulate_grad_batches if isinstance(interval, int) else interval


def _accelerator(name: str) -> str:
    """`auto` without Apple's GPUs, which have no float64."""
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"
