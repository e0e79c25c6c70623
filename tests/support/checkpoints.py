"""Checkpoints written without training, and read without the parts around their potential."""

from pathlib import Path

from spinpot.models.checkpoint import potential_from, read_checkpoint, save_potential
from spinpot.models.potential import Potential


def write_checkpoint(path: Path, potential: Potential) -> Path:
    """What training leaves, as far as a potential is concerned."""
    save_potential(path, potential)
    return path


def load_potential(path: str | Path) -> Potential:
    """The potential of a checkpoint, in float64 and in evaluation mode. Raises InputError."""
    return potential_from(read_checkpoint(path), path)
