"""Checkpoints written without training."""

from pathlib import Path

from spinpot.checkpoint import save_potential
from spinpot.model.potential import SpinPotential


def write_checkpoint(path: Path, potential: SpinPotential) -> Path:
    """What training leaves, as far as a potential is concerned."""
    save_potential(path, potential)
    return path
