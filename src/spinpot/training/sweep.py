"""Trains or resumes one job of a sweep, with processes of its own if it needs several."""

import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pytorch_lightning.plugins.environments import SLURMEnvironment
from pytorch_lightning.utilities import rank_zero_only

from spinpot.config.app import FAILURE, TRAIN, describe, stop
from spinpot.config.rerun import read_settings, runnable
from spinpot.config.sweep_job import sweep_job
from spinpot.config.validate import validate
from spinpot.core.differences import differences, in_words
from spinpot.core.errors import InputError, TrainingError
from spinpot.core.files import write_atomically
from spinpot.core.notes import shortened
from spinpot.runs.sweep import write_sweep_table
from spinpot.training.callbacks.stop_on_signal import SIGNALS, signals_kept
from spinpot.training.finish import optimized_metric
from spinpot.training.places import wants_several
from spinpot.training.ranks import all_ranks
from spinpot.training.resume import IRRELEVANT, without
from spinpot.training.run import train

MAY_CHANGE = (*IRRELEVANT, "trainer.max_steps", "trainer.max_time")
"""Settings that may change when a job is resumed."""

JOB_FILES = ("config.yaml", FAILURE)


def train_job(config: DictConfig, folder: Path) -> float | None:
    """Train or resume in the folder of a job, and update the table of the sweep.

    A finished job is not trained again. A failing job leaves its message and settings in a file. Returns the
    optimized metric. Raises InputError if the folder holds a job with other settings.
    """
    check_study(folder)
    check_same_job(config, folder)
    forget_failure(folder)
    if config.resume is None:
        config = cast(DictConfig, OmegaConf.merge(config, {"resume": "auto"}))
    try:
        validate(config)
        return optimized_metric(config.optimized_metric, _train(config, folder))
    except Exception as error:
        record_failure(config, folder, error)
        raise
    finally:
        _compare_runs(folder.parent)


def _train(config: DictConfig, folder: Path) -> dict[str, Any]:
    if wants_own_process(config):
        return train_in_own_process(config, folder)
    with all_ranks(config.trainer):
        return train(config, folder)


@rank_zero_only
def record_failure(config: DictConfig, folder: Path, error: Exception) -> None:
    """Write the message and the settings of a failed job to its folder, for the sweep's table and page."""
    message = describe(error) or f"{type(error).__name__}: {error}"
    try:
        settings = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException:  # an unresolvable config may be the error itself
        settings = OmegaConf.to_container(config)
    folder.mkdir(parents=True, exist_ok=True)
    written = json.dumps({"message": message, "config": settings}, indent=2)
    write_atomically(folder / FAILURE, written + "\n")


@rank_zero_only
def forget_failure(folder: Path) -> None:
    """Remove the failure message of an earlier attempt."""
    (folder / FAILURE).unlink(missing_ok=True)


def check_study(folder: Path) -> None:
    """End the sweep if a stored Optuna study would add trials to a folder that already holds jobs.

    The new trials would get the numbers, and so the folders, of the first jobs.
    """
    sweeper = HydraConfig.get().sweeper
    name = sweeper.get("study_name") and sweeper.get("storage") and sweeper.study_name
    if not name or HydraConfig.get().job.num != 0 or not any((folder / f).exists() for f in JOB_FILES):
        return
    stop(
        f"hydra.sweeper.study_name={name}: the stored study would continue with new trials, but "
        f"{folder.parent} holds the jobs of its first trials. To resume these jobs, leave out study_name: "
        "the same command repeats their settings and skips finished jobs. For new trials, give another "
        "folder with hydra.sweep.dir=DIR."
    )


def check_same_job(config: DictConfig, folder: Path) -> None:
    """Raise InputError if the folder holds a run with other settings."""
    found = folder / "config.yaml"
    if not found.exists():
        return
    now = cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))
    listed = in_words(differences(read_settings(found), now, without(MAY_CHANGE)))
    if listed:
        raise InputError(
            f"{folder} holds a run with other settings ({shortened(listed, most=4)}). To resume a sweep, "
            "give the same settings in the same order; for a new sweep, choose another folder with "
            "hydra.sweep.dir=DIR. The run was not changed."
        )


def wants_own_process(config: DictConfig) -> bool:
    """Whether the job needs its own command: repeating the command line would start the whole sweep again."""
    told = "LOCAL_RANK" in os.environ or {"RANK", "WORLD_SIZE"} <= os.environ.keys()
    return wants_several(config.trainer) and not told and not SLURMEnvironment.detect()


def train_in_own_process(config: DictConfig, folder: Path) -> dict[str, Any]:
    """Train this job with a command of its own; returns the contents of summary.json.

    Signals are passed on to the command. Raises TrainingError if it failed (it has printed its message), and
    SystemExit with its exit code if a signal stopped it.
    """
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "job.yaml").write_text(runnable(_named(config)), encoding="utf-8")
        quoted = str(folder).replace("\\", "\\\\").replace("'", "\\'")
        command = [*TRAIN, "--config-dir", place, "--config-name", "job"]
        code = _wait(subprocess.Popen([*command, f"hydra.run.dir='{quoted}'"]))
    if code in [128 + number for number in SIGNALS]:
        raise SystemExit(code)
    if code != 0:
        raise TrainingError(
            f"The processes of this job ended with exit code {code}; their messages are above."
        )
    return cast(dict[str, Any], json.loads((folder / "summary.json").read_text(encoding="utf-8")))


def _named(config: DictConfig) -> DictConfig:
    """The config with this job's wandb name, group and tags, because its process does not know the sweep."""
    job = sweep_job()
    wandb = config.logger.get("wandb")
    if job is None or wandb is None:
        return config
    named = {
        "name": wandb.name or " ".join(job.swept),
        "group": wandb.group or job.folder.name,
        "tags": [*wandb.tags, *job.swept],
    }
    return cast(DictConfig, OmegaConf.merge(config, {"logger": {"wandb": named}}))


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for a process and pass on signals to it; returns its exit code."""

    def pass_on(number: int, frame: FrameType | None) -> None:
        if number != signal.SIGINT:  # Ctrl-C reaches all processes of a terminal anyway
            process.send_signal(number)

    with signals_kept():
        for number in SIGNALS:
            signal.signal(number, pass_on)
        return process.wait()


@rank_zero_only
def _compare_runs(sweep: Path) -> None:
    if any(file for name in ("summary.json", FAILURE) for file in sweep.glob(f"*/{name}")):
        write_sweep_table(sweep, whole=False)
