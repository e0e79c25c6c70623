"""Outliers: frames far from the others of their system."""

from dataclasses import dataclass

import numpy as np

from spinpot.core.quantities import FORCE, FORCE_MAG
from spinpot.data.readers.deepmd.rows import chunks
from spinpot.data.systems import System

FAR = 6.0  # robust standard deviations
FEWEST_FRAMES = 10
ENERGY = "energy per atom"
SMALLEST = 1e-4  # eV/Å and eV/μ_B, lower bound of forces


@dataclass(frozen=True)
class Outlier:
    """A frame, the quantity in which it is an outlier, its value, and its robust standard deviations."""

    frame: int
    quantity: str
    value: float
    unit: str
    deviations: float


def outliers(system: System) -> list[Outlier]:
    """Frames whose energy per atom is far from the others, or whose largest (magnetic) force is far above.

    Forces are compared by their logarithm. The strangest frames come first. Systems with fewer than
    FEWEST_FRAMES frames have no outliers.
    """
    if len(system) < FEWEST_FRAMES:
        return []
    found = []
    if system.energy is not None:
        energy = np.asarray(system.energy) / system.n_atoms
        found += _far(ENERGY, energy, energy - np.median(energy), "eV from the median")
    for own in (FORCE, FORCE_MAG):
        forces = getattr(system, own.label)
        if forces is not None:
            largest = np.concatenate([np.linalg.norm(f, axis=-1).max(axis=1) for (f,) in chunks(forces)])
            far = _far(f"largest {own.title}", np.log(np.maximum(largest, SMALLEST)), largest, own.unit)
            found += [outlier for outlier in far if outlier.deviations > 0]
    return sorted(found, key=lambda outlier: -abs(outlier.deviations))


def robust_deviations(values: np.ndarray) -> np.ndarray:
    """(x − median)/(1.4826 MAD), equal to (x − mean)/σ for normal distributions; 0 if over half are equal."""
    from_median = values - np.median(values)
    scale = 1.4826 * np.median(np.abs(from_median))
    return from_median / scale if scale > 0 else np.zeros_like(values)


def _far(quantity: str, values: np.ndarray, shown: np.ndarray, unit: str) -> list[Outlier]:
    deviations = robust_deviations(values)
    return [
        Outlier(int(k), quantity, float(shown[k]), unit, float(deviations[k]))
        for k in np.flatnonzero(np.abs(deviations) > FAR)
    ]
