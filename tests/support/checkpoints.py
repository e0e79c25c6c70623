"""Checkpoints written without training."""

from pathlib import Path

import torch

from spinpot.checkpoint import checkpoint_entry
from spinpot.model.potential import SpinPotential


def write_checkpoint(path: Path, potential: SpinPotential) -> Path:
    """What training leaves, as far as a potential is concerned."""
    weights = {f"potential.{name}": value for name, value in potential.state_dict().items()}
    torch.save({"state_dict": weights, "global_step": 0, **checkpoint_entry(potential, {})}, path)
    return path
