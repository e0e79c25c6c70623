"""The files of a run: config.yaml, checkpoints/, summary.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from pytorch_lightning.utilities import rank_zero_only

from spinpot.config.rerun import runnable
from spinpot.files import null_for_nan, write_atomically
from spinpot.training.callbacks.step_timer import StepTimer
from spinpot.training.provenance import git_commit, versions
from spinpot.training.resume import Resumed


class RunFolder:
    """A run's folder and the names of what lies in it."""

    def __init__(self, path: Path, resumed: Resumed | None) -> None:
        self.path = path
        self.resumed = resumed

    @property
    def best_checkpoint(self) -> Path:
        """The checkpoint of the best validation; of the last one where no score could be compared."""
        best = self.checkpoints / "best.ckpt"
        return best if best.exists() else self.checkpoints / "last.ckpt"

    @property
    def checkpoints(self) -> Path:
        """Where best.ckpt and last.ckpt are."""
        return self.path / "checkpoints"

    @rank_zero_only
    def write_config(self, config: DictConfig) -> None:
        """The resolved config, ready to be run again; that of the part before a resume is kept beside it."""
        self.path.mkdir(parents=True, exist_ok=True)
        target = self.path / "config.yaml"
        text = runnable(config)
        if self.resumed and target.exists() and target.read_text() != text:
            target.rename(self.path / f"config_until_step_{self.resumed.step}.yaml")
        write_atomically(target, text)

    def write_summary(
        self,
        steps: int,
        timer: StepTimer,
        errors: dict[str, dict[str, float]],
        data: dict[str, dict[str, Any]],
    ) -> dict[str, Any]:
        """summary.json with the errors of each set under "val" and "test".

        data: spinpot.data.description.describe of each set.
        """
        short = {"validation": "val", "test": "test"}
        summary = {
            "steps": steps,
            "seconds_per_step": timer.seconds_per_step,
            "train_seconds": timer.train_seconds,
            **{short[name]: null_for_nan(values) for name, values in errors.items()},
            "data": data,
            "git_commit": git_commit(),
            "versions": versions(),
        }
        write_atomically(self.path / "summary.json", json.dumps(summary, indent=2) + "\n")
        return summary
