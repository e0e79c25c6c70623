"""Loggers beside metrics.csv, made for a run folder."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path

from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger

from spinpot.errors import InputError


def wandb_logger(
    folder: Path,
    keep_until: int = 0,
    project: str = "spinpot",
    name: str | None = None,
    group: str | None = None,
    tags: Sequence[str] = (),
) -> Logger:
    """Weights & Biases in FOLDER/wandb; offline where there is no account, without a question."""
    _require("wandb", "wandb")
    offline = not _has_wandb_account()
    return WandbLogger(
        project=project,
        name=name or folder.name,
        save_dir=folder,
        group=group,
        tags=list(tags),
        # Not Lightning's `offline`, which sets an environment variable that wandb has read already.
        mode="offline" if offline else None,
    )


def tensorboard_logger(folder: Path, keep_until: int = 0) -> Logger:
    """TensorBoard events in FOLDER/tensorboard."""
    _require("tensorboard", "tensorboard")
    return TensorBoardLogger(save_dir=folder, name="tensorboard", version="", default_hp_metric=False)


def _has_wandb_account() -> bool:
    if os.environ.get("WANDB_MODE") in ("offline", "disabled", "dryrun"):
        return False
    import wandb

    return bool(wandb.login(prompt=False, verify=False))


def _require(module: str, extra: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise InputError(
            f"logger={extra} needs the package {module}: pip install -c constraints.txt -e '.[{extra}]'."
        )
