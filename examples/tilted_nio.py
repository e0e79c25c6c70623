"""Frames of NiO beyond the tilts of the built-in set: `python examples/tilted_nio.py DIR`.

Moments are turned by 60° to 75° from a collinear state, where `data=NiO` turns them by 60° at most; atoms are
displaced as there. The labels are the Hamiltonian's (spinpot.data.nio).
"""

import sys

import dpdata
import numpy as np
from dpdata.plugins.deepmd import register_spin

from spinpot.data import nio
from spinpot.data.nio_frames import SHAPES

FRAMES = 20
TILT = (60.0, 75.0)  # degrees
DISPLACEMENT = 0.03  # Å

rng = np.random.default_rng(0)
perfect = nio.structure(SHAPES["rhombohedral_32"])
frames, labels = [], []
for _ in range(FRAMES):
    tilt = np.radians(rng.uniform(*TILT, (len(perfect.spin), 1)))
    sideways = np.cross(perfect.spin, rng.normal(size=perfect.spin.shape))
    sideways *= nio.MOMENT / np.maximum(np.linalg.norm(sideways, axis=1, keepdims=True), 1e-12)
    spin = np.cos(tilt) * perfect.spin + np.sin(tilt) * sideways
    coord = perfect.coord + rng.normal(scale=DISPLACEMENT, size=perfect.coord.shape)
    frames.append(nio.Structure(perfect.types, perfect.box, coord, spin))
    labels.append(nio.labels(frames[-1]))

register_spin()
data = {
    "atom_names": list(nio.TYPE_NAMES),
    "atom_numbs": np.bincount(perfect.types).tolist(),
    "atom_types": perfect.types,
    "orig": np.zeros(3),
    "cells": np.stack([frame.box for frame in frames]),
    "coords": np.stack([frame.coord for frame in frames]),
    "spins": np.stack([frame.spin for frame in frames]),
    "energies": np.stack([one["energy"] for one in labels]),
    "forces": np.stack([one["force"] for one in labels]),
    "force_mags": np.stack([one["force_mag"] for one in labels]),
    "virials": np.stack([one["virial"] for one in labels]),
}
dpdata.LabeledSystem(data=data).to("deepmd/npy", sys.argv[1], prec=np.float64)
