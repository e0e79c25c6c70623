"""Frames of NiO beyond the tilts of the built-in set: `python examples/tilted_nio.py DIR`.

Moments are turned by 60° to 75° from a collinear state, where `data=NiO` turns them by 60° at most; atoms are
displaced as there. The labels are the Hamiltonian's (spinpot.data.nio).
"""

import sys
from pathlib import Path

import numpy as np

from spinpot.data import nio
from spinpot.data.nio_frames import SHAPES, write_system

FRAMES = 20
TILT = (60.0, 75.0)  # degrees
DISPLACEMENT = 0.03  # Å

rng = np.random.default_rng(0)
perfect = nio.structure(SHAPES["rhombohedral_32"])
frames = []
for _ in range(FRAMES):
    tilt = np.radians(rng.uniform(*TILT, (len(perfect.spin), 1)))
    sideways = np.cross(perfect.spin, rng.normal(size=perfect.spin.shape))
    sideways *= nio.MOMENT / np.maximum(np.linalg.norm(sideways, axis=1, keepdims=True), 1e-12)
    spin = np.cos(tilt) * perfect.spin + np.sin(tilt) * sideways
    coord = perfect.coord + rng.normal(scale=DISPLACEMENT, size=perfect.coord.shape)
    frame = nio.Structure(perfect.types, perfect.box, coord, spin)
    frames.append((frame, nio.labels(frame)))
write_system(frames, Path(sys.argv[1]))
