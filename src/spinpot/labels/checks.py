"""Whether a label can be used: looked at when it arrives, and once more beside those of the same atoms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spinpot.labels.configuration import Array, Configuration
from spinpot.labels.label import FrameError, Label

MOST_TORQUE = 0.02
"""Of Σ S × F_mag, relative to what unrelated torques would add up to. GPAW and ABINIT leave 1e-5."""
LEAST_TORQUE = 1e-3
"""eV; the sum of the torques is not looked at below it."""
MOST_ANGLE = 5.0
"""Degrees between a held moment and what it was to be."""
MOST_STRETCH = 0.05
"""The same for a held length, relative."""
FLAT = 1e-9
"""Relative; moments whose x and y are smaller are z components alone."""
FAR_ENERGY = 20.0
"""Robust standard deviations of the energies per atom of a system, beyond which a frame is left out."""
LEAST_DEVIATION = 0.02
"""eV per atom, which counts as one deviation where there is less."""
FEWEST = 8
"""Frames, of fewer nothing is said about their energies."""


def check_label(configuration: Configuration, label: Label, isotropic: bool) -> None:
    """Raise FrameError where a label has not the shapes, is not finite or is not of these moments.

    isotropic: whether the energy stays when all moments turn together.
    """
    check_shapes(configuration, label)
    check_finite(label)
    check_moments(configuration, label)
    if isotropic:
        check_torque(label)


def check_shapes(configuration: Configuration, label: Label) -> None:
    """Vectors for all atoms."""
    wanted = (len(configuration.atoms), 3)
    for name in ("forces", "moments", "magnetic_forces"):
        if np.shape(getattr(label, name)) != wanted:
            raise FrameError(f"{name} of shape {np.shape(getattr(label, name))}, expected {wanted}")
    if label.virial is not None and np.shape(label.virial) != (3, 3):
        raise FrameError(f"virial of shape {np.shape(label.virial)}, expected (3, 3)")


def check_finite(label: Label) -> None:
    """No NaN and no infinity."""
    for name in ("energy", "forces", "moments", "magnetic_forces", "virial"):
        values = getattr(label, name)
        if values is not None and not np.isfinite(values).all():
            raise FrameError(f"{name}: not all numbers are finite")


def check_moments(configuration: Configuration, label: Label) -> None:
    """Held moments have the directions that were asked for, and the lengths where these are held."""
    held = configuration.constrained
    wanted, found = configuration.moments[held], label.moments[held]
    if not held.any():
        return
    across = np.linalg.norm(wanted[:, :2], axis=1) > np.linalg.norm(wanted, axis=1) * np.sin(np.radians(5.0))
    if across.any() and np.abs(found[:, :2]).max() <= FLAT * np.abs(found).max():
        raise FrameError("the moments have z components alone, though others were asked for")
    if not found.any(axis=1).all():
        raise FrameError(f"no moment is left on atom {np.flatnonzero(held)[~found.any(axis=1)][0]}")
    angles = _angles(wanted, found)
    if angles.max() > MOST_ANGLE:
        atom = np.flatnonzero(held)[angles.argmax()]
        raise FrameError(f"the moment of atom {atom} is {angles.max():.1f}° from the direction to be held")
    if configuration.hold_lengths:
        lengths = np.linalg.norm(wanted, axis=1)
        stretch = np.abs(np.linalg.norm(found, axis=1) / lengths - 1.0)
        if stretch.max() > MOST_STRETCH:
            atom = np.flatnonzero(held)[stretch.argmax()]
            raise FrameError(f"the moment of atom {atom} is {100 * stretch.max():.1f} % off the held length")


def check_torque(label: Label) -> None:
    """Σ S × F_mag vanishes: nothing changes as all moments turn together."""
    torques = np.cross(label.moments, label.magnetic_forces)
    total, apart = float(np.linalg.norm(torques.sum(axis=0))), float(np.sqrt((torques**2).sum()))
    if total > max(MOST_TORQUE * apart, LEAST_TORQUE):
        raise FrameError(
            f"Σ S × F_mag = {total:.2g} eV, where single ones amount to {apart:.2g} eV: without spin-orbit "
            "coupling it must vanish"
        )


def strange_energies(labels: Sequence[Label]) -> dict[int, str]:
    """Which frames of the same atoms are far from the others in energy, and how far."""
    if len(labels) < FEWEST:
        return {}
    energies = np.array([label.energy / len(label.moments) for label in labels])
    off = energies - np.median(energies)
    deviation = max(1.4826 * float(np.median(np.abs(off))), LEAST_DEVIATION)
    far = np.flatnonzero(np.abs(off) > FAR_ENERGY * deviation)
    return {int(k): f"{off[k]:+.3g} eV per atom from the median of its system" for k in far}


def _angles(first: Array, second: Array) -> Array:
    across = np.linalg.norm(np.cross(first, second), axis=1)
    return np.asarray(np.degrees(np.arctan2(across, (first * second).sum(axis=1))))
