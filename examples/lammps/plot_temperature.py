"""Draw what in.temperature wrote: python plot_temperature.py temperature.txt temperature.png"""

import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

table, picture = sys.argv[1:]
bath, spins, alignment, _ = np.loadtxt(table, ndmin=2).T

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
left.plot(bath, alignment, "o-")
left.set(xlabel="temperature (K)", ylabel="alignment of a sublattice", ylim=(0, 1))
right.plot(bath, bath, "-", color="0.7", label="bath")
right.plot(bath, spins, "o", label="spins")
right.set(xlabel="temperature of the bath (K)", ylabel="temperature (K)")
right.legend()
figure.savefig(picture, dpi=120)
