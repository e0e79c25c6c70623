"""The native-spin checkpoint in tests/models/stored, and the numbers it gave: written once for each version.

`PYTHONPATH=src:tests python -m support.stored_native_spin` writes those of the present one.
"""

from pathlib import Path

import numpy as np

from spinpot.data.systems import System
from spinpot.models.checkpoint import save_potential
from spinpot.models.native_spin.potential import NativeSpin
from spinpot.models.training_facts import training_facts
from support.frames import evaluate, random_system
from support.native_spin import small_native

STORED = Path(__file__).parents[1] / "models" / "stored"


def frames() -> System:
    """Those that are predicted."""
    return random_system(3, n_frames=2, edge=4.2)


def files(version: int) -> tuple[Path, Path]:
    """The checkpoint and the numbers of a version of the model."""
    return STORED / f"native_spin{version}.ckpt", STORED / f"native_spin{version}.npz"


if __name__ == "__main__":
    potential = small_native(exchange=("bilinear", "landau"), groups="all")
    potential.facts = training_facts([frames()], potential.spec.use_spin)
    checkpoint, numbers = files(NativeSpin.version)
    save_potential(checkpoint, potential)
    np.savez_compressed(numbers, **evaluate(potential, frames()))
