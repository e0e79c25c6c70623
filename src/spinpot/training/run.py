"""One training run from a composed config: check → read → build → fit → report."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from pytorch_lightning.utilities import rank_zero_only

from spinpot.core.errors import TrainingError
from spinpot.core.files import alone_in, cannot_write, no_room
from spinpot.models.checkpoint import LAST, checkpoint_file
from spinpot.training.again import make_missing_report
from spinpot.training.finish import finish
from spinpot.training.ranks import all_ready, on_its_way_out, processes
from spinpot.training.remarks import print_early_end
from spinpot.training.resume import summary_of_finished
from spinpot.training.run_folder import clean, write_config
from spinpot.training.stages import Checked, Ready, build_run, check_config, opened, read_frames
from spinpot.training.trainer import fit, leave_checkpoint, quiet_lightning, wandb_runs


def train(config: DictConfig, folder: Path) -> dict[str, Any]:
    """Train as configured; write config, metrics, checkpoints and summary to the folder.

    Returns the contents of summary.json. Raises InputError, before it writes anything, if the config or the
    data cannot be used or another process trains in the folder. Raises TrainingError if the run diverges or
    the disk is full.
    """
    first = rank_zero_only.rank == 0  # type: ignore[attr-defined]
    try:
        with alone_in(folder) if first else nullcontext(), _a_full_disk_in_words(folder):
            return _train(config, folder)
    except BaseException:
        on_its_way_out()
        raise
    finally:
        gc.collect()  # the trainer, its loops and the data form reference cycles


@contextmanager
def _a_full_disk_in_words(folder: Path) -> Iterator[None]:
    """Turn the OSError of a full disk into a TrainingError that says how to resume."""
    try:
        yield
    except OSError as error:
        if not no_room(error) or not (folder / LAST).exists():
            raise
        raise TrainingError(
            f"{cannot_write(error)} The run stopped; resume=auto resumes it from {folder / LAST}."
        ) from error


def _train(config: DictConfig, folder: Path) -> dict[str, Any]:
    quiet_lightning()
    start = opened(config, folder)
    if start.resumed and (summary := summary_of_finished(start.resumed, folder, start.plain)):
        complete(folder, start.plain.get("report", True))
        return summary
    checked = check_config(start)
    return _fit_and_report(checked, build_run(checked, read_frames(checked)))


def _fit_and_report(checked: Checked, run: Ready) -> dict[str, Any]:
    trainer, folder = checked.trainer, checked.folder
    all_ready()
    write_config(folder, checked.config, checked.resumed)
    try:
        fit(trainer, run.module, run.data, checked.resumed)
        if checked.stop.received:
            checked.stop.end(trainer)
        leave_checkpoint(trainer, folder)
        print_early_end(trainer)
        run.data.count_broken(processes())
        if not trainer.is_global_zero:
            return {}
        summary = finish(checked, run)
    except BaseException:
        for logger in trainer.loggers:
            logger.finalize("failed")
        raise
    for logged in wandb_runs(trainer.loggers):
        logged.end(summary, checkpoint_file(folder))
    return summary


@rank_zero_only
def complete(folder: Path, report: bool) -> None:
    """Remove temporary files that a killed process left; with `report`, rebuild a missing page or picture."""
    clean(folder)
    if report:
        make_missing_report(folder)
