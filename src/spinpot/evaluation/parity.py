"""The points of parity plots: predictions against labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from spinpot.core.quantities import ENERGY, FORCE, FORCE_MAG, PARTS, QUANTITIES, VIRIAL
from spinpot.core.split import split_along
from spinpot.data.systems import System
from spinpot.report.plots import Points


def parity_points(
    systems: Sequence[System], predictions: Sequence[dict[str, np.ndarray]], magnetic: Sequence[bool]
) -> dict[str, Points]:
    """The points of every quantity that has labels, by the metrics' names of the quantities.

    predictions: per system, arrays under the names and shapes of spinpot.core.conventions. magnetic: whether
    each element of the type map carries spin. Energies are per atom and relative to the labels' mean.
    """
    panels: dict[str, Points] = {name: [] for name in QUANTITIES if name != FORCE_MAG.name}
    energies = [np.asarray(system.energy) / system.n_atoms for system in systems if system.energy is not None]
    mean = np.concatenate(energies).mean() if energies else 0.0
    for system, predicted in zip(systems, predictions, strict=True):
        n = system.n_atoms
        if system.energy is not None:
            energy = np.asarray(system.energy) / n - mean
            panels[ENERGY.name].append(("", energy, predicted["energy"] / n - mean))
        if system.virial is not None:
            panels[VIRIAL.name].append(("", np.asarray(system.virial) / n, predicted["virial"] / n))
        for kind in np.unique(system.types):
            own, element = system.types == kind, system.type_map[kind]
            if system.force is not None:
                panels[FORCE.name].append((element, system.force[:, own], predicted["force"][:, own]))
            moment = np.linalg.norm(system.spin[:, own], axis=-1) > 0
            if system.force_mag is not None and magnetic[kind] and moment.any():
                spin = system.spin[:, own][moment]
                labels = _split(system.force_mag[:, own][moment], spin)
                found = _split(predicted["force_mag"][:, own][moment], spin)
                for part, label, ours in zip(PARTS, labels, found, strict=True):
                    panels[part.name].append((element, label, ours))
    return {
        name: [(e, 1000 * x, 1000 * y) for e, x, y in points] for name, points in panels.items() if points
    }


def _split(force_mag: np.ndarray, spin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    across, along = split_along(torch.from_numpy(force_mag), torch.from_numpy(spin))
    return across.numpy(), along.numpy()
