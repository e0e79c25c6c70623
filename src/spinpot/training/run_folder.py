"""The files of a run: config.yaml, checkpoints/, summary.json."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from pytorch_lightning.utilities import rank_zero_only

from spinpot.config.rerun import runnable
from spinpot.core.console import print_line
from spinpot.core.files import remove_leftovers, write_atomically
from spinpot.models.checkpoint import checkpoint_file
from spinpot.training.resume import Resumed

WRITTEN = ("*.yaml", "*.csv", "*.json", "*.html", "*.png")
"""Files of a run folder that are written under a temporary name first, and the checkpoints below it."""


class RunFolder:
    """A run's folder and the names of what lies in it."""

    def __init__(self, path: Path, resumed: Resumed | None) -> None:
        self.path = path
        self.resumed = resumed

    @property
    def best_checkpoint(self) -> Path:
        """The checkpoint of the best validation; of the last one where no score could be compared."""
        return checkpoint_file(self.path)

    @property
    def checkpoints(self) -> Path:
        """Where best.ckpt and last.ckpt are."""
        return self.path / "checkpoints"

    @rank_zero_only
    def write_config(self, config: DictConfig) -> None:
        """The resolved config, ready to be run again; that of the part before a resume is kept beside it."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.remove_leftovers()
        target = self.path / "config.yaml"
        text = runnable(config)
        if self.resumed:
            until = f"until_step_{self.resumed.step}"
            if target.exists() and (before := target.read_text()) != text:
                # A copy, so that a run that is killed right here has a config.yaml.
                write_atomically(self.path / f"config_{until}.yaml", before)
            # It would say that the run is finished.
            with suppress(FileNotFoundError):
                (self.path / "summary.json").rename(self.path / f"summary_{until}.json")
        write_atomically(target, text)

    def remove_leftovers(self) -> None:
        """Remove the temporary files of a process that was killed while it wrote, and say which."""
        left = [*remove_leftovers(self.path, *WRITTEN), *remove_leftovers(self.checkpoints, "*.ckpt")]
        if left:
            print_line(f"Removed {', '.join(left)} from {self.path}, left by an interrupted write.")

    def write_summary(self, summary: dict[str, Any]) -> None:
        """summary.json, which says that the run is finished."""
        write_atomically(self.path / "summary.json", json.dumps(summary, indent=2) + "\n")
