"""From frames to a plot: `python examples/frames_to_plot.py CHECKPOINT FRAMES plot.png`.

CHECKPOINT: of spinpot, or a model of deepmd-kit. FRAMES: a folder with magnetic forces.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

import spinpot
from spinpot.data.systems import read_systems

checkpoint, folder, picture = sys.argv[1:]
potential = spinpot.load(checkpoint)
frames = read_systems([folder], potential.spec.type_map)[0]
prediction = potential(frames, batch_size=16, progress=True)

magnetic = np.array(potential.spec.use_spin)[frames.types]
labels = 1000 * frames.force_mag[:, magnetic]
ours = 1000 * prediction["force_mag"][:, magnetic]
rmse = np.sqrt(np.mean((ours - labels) ** 2))

figure, axes = plt.subplots(figsize=(4, 4), layout="constrained")
axes.plot(labels.ravel(), ours.ravel(), ".", markersize=3)
axes.axline((0, 0), slope=1, color="grey", linewidth=0.8)
axes.set_xlabel("magnetic force of the labels (meV/μ$_B$)")
axes.set_ylabel("of the model")
axes.set_title(f"{len(frames)} frames, rmse {rmse:.2f} meV/μ$_B$")
figure.savefig(picture, dpi=150)
print(f"{len(frames)} frames, rmse {rmse:.3f} meV/μ_B: {picture}")
