"""Loggers other than metrics.csv."""

import os
from collections.abc import Sequence
from pathlib import Path

from pytorch_lightning.loggers import Logger, TensorBoardLogger

from spinpot.config.sweep_job import SweepJob, sweep_job
from spinpot.core.errors import require_package
from spinpot.models.checkpoint import LAST
from spinpot.training.resume import Resumed
from spinpot.training.wandb_run import WandbRun, read_identity

LONGEST_NAME, LONGEST_TAG = 128, 64  # in characters; wandb refuses longer ones


def wandb_logger(
    folder: Path,
    resumed: Resumed | None = None,
    project: str = "spinpot",
    entity: str | None = None,
    name: str | None = None,
    group: str | None = None,
    tags: Sequence[str] = (),
    job_type: str = "train",
) -> Logger:
    """Weights & Biases in FOLDER/wandb; without an account it logs offline and never prompts.

    The group of a sweep's job is the name of the sweep folder; its name and tags are its swept settings. A
    resumed run resumes its wandb run.
    """
    require_package("logger=wandb", "wandb", "wandb")
    job = sweep_job()
    swept = job.swept if job else ()
    known = _continued(folder, resumed, job) or {"id": None, "name": " ".join(swept) or folder.name}
    identity = {
        # wandb's variable; the agents of its sweeps set it.
        "id": os.environ.get("WANDB_RUN_ID") or known["id"],
        "name": (name or known["name"] or "")[:LONGEST_NAME],
    }
    settings = {
        "project": project,
        "entity": entity,
        "group": group or (job.folder.name if job else None),
        "tags": [tag[:LONGEST_TAG] for tag in (*tags, *swept)],
        "job_type": job_type,
    }
    return WandbRun(folder, identity, settings)


def tensorboard_logger(folder: Path, resumed: Resumed | None = None) -> Logger:
    """TensorBoard events in FOLDER/tensorboard."""
    require_package("logger=tensorboard", "tensorboard", "tensorboard")
    return TensorBoardLogger(save_dir=folder, name="tensorboard", version="", default_hp_metric=False)


def _continued(folder: Path, resumed: Resumed | None, job: SweepJob | None) -> dict[str, str | None] | None:
    """The wandb run to resume: of this folder, or of the folder whose last checkpoint is resumed."""
    if resumed and resumed.path.name != LAST.name:
        return None  # a run from an earlier checkpoint is a new branch
    own = read_identity(folder)
    if own or resumed is None or job:  # many jobs may start from one checkpoint
        return own
    return read_identity(resumed.path.parents[1])
