"""Checkpoints written without training."""

from pathlib import Path

from spinpot.models.checkpoint import save_potential
from spinpot.models.potential import Potential


def write_checkpoint(path: Path, potential: Potential) -> Path:
    """What training leaves, as far as a potential is concerned."""
    save_potential(path, potential)
    return path
