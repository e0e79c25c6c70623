"""The files of a run: config.yaml, checkpoints/, summary.json."""

from contextlib import suppress
from pathlib import Path

from omegaconf import DictConfig
from pytorch_lightning.utilities import rank_zero_only

from spinpot.config.rerun import runnable
from spinpot.core.console import print_line
from spinpot.core.files import remove_leftovers, write_atomically
from spinpot.models.checkpoint import LAST
from spinpot.training.resume import Resumed

WRITTEN = ("*.yaml", "*.csv", "*.json", "*.html", "*.png")
"""Files of a run folder that are first written under a temporary name. Checkpoints are treated likewise."""


@rank_zero_only
def write_config(folder: Path, config: DictConfig, resumed: Resumed | None) -> None:
    """Write the resolved config so that it can be run again; a resumed run keeps its earlier config, too."""
    folder.mkdir(parents=True, exist_ok=True)
    clean(folder)
    target = folder / "config.yaml"
    text = runnable(config)
    if resumed:
        until = f"until_step_{resumed.step}"
        if target.exists() and (before := target.read_text()) != text:
            # A copy rather than a rename: a run killed at this point still has a config.yaml.
            write_atomically(folder / f"config_{until}.yaml", before)
        # A summary.json would mark the run as finished.
        with suppress(FileNotFoundError):
            (folder / "summary.json").rename(folder / f"summary_{until}.json")
    write_atomically(target, text)


def clean(folder: Path) -> None:
    """Remove temporary files that a killed process left, and print their names."""
    left = [*remove_leftovers(folder, *WRITTEN), *remove_leftovers(folder / LAST.parent, "*.ckpt")]
    if left:
        print_line(f"Removed {', '.join(left)} from {folder}, left by an interrupted write.")
