"""Systems and checkpoints written to disk as users have them."""

from pathlib import Path

import numpy as np
import torch

from spinpot.checkpoint import checkpoint_entry
from spinpot.data.systems import System
from spinpot.model.potential import SpinPotential


def write_system(folder: Path, system: System) -> Path:
    """One deepmd npy folder."""
    place = folder / "set.000"
    place.mkdir(parents=True)
    (folder / "type.raw").write_text("\n".join(map(str, system.types)))
    (folder / "type_map.raw").write_text("\n".join(system.type_map))
    for name in ("box", "coord", "spin", *system.labels):
        array = getattr(system, name)
        np.save(place / f"{name}.npy", array if name == "energy" else array.reshape(len(array), -1))
    return folder


def write_checkpoint(path: Path, potential: SpinPotential) -> Path:
    """What training leaves, as far as a potential is concerned."""
    weights = {f"potential.{name}": value for name, value in potential.state_dict().items()}
    torch.save({"state_dict": weights, "global_step": 0, **checkpoint_entry(potential.spec, {})}, path)
    return path
