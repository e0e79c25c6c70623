"""Checkpoints written without training."""

from pathlib import Path

from spinpot.models.checkpoint import save_potential
from spinpot.models.deepspin.potential import SpinPotential


def write_checkpoint(path: Path, potential: SpinPotential) -> Path:
    """What training leaves, as far as a potential is concerned."""
    save_potential(path, potential)
    return path
