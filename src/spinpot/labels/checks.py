"""Checks labels: each one when it arrives, and later its energy against those of the same system."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spinpot.labels.configuration import Array, Configuration
from spinpot.labels.label import FrameError, Label

MOST_TORQUE = 0.02
"""Largest |Σ S × F_mag| relative to the sum of unrelated torques. GPAW and ABINIT reach 1e-5."""
LEAST_TORQUE = 1e-3
"""eV. A smaller sum of torques is always accepted."""
MOST_ANGLE = 5.0
"""Largest angle, in degrees, between a held moment and its target."""
MOST_STRETCH = 0.05
"""Largest relative deviation of a held length from its target."""
FLAT = 1e-9
"""Moments with relatively smaller x and y components are considered collinear along z."""
FAR_ENERGY = 20.0
"""A frame is left out if its energy per atom is this many robust standard deviations from the median."""
LEAST_DEVIATION = 0.02
"""eV per atom, lower bound of this standard deviation."""
FEWEST = 8
"""The energies of a system are checked only if it has at least this many frames."""


def check_label(configuration: Configuration, label: Label, isotropic: bool) -> None:
    """Raise FrameError if a label has wrong shapes, non-finite numbers, wrong moments or a net torque.

    isotropic: whether the energy is invariant under a common rotation of all moments.
    """
    check_shapes(configuration, label)
    check_finite(label)
    check_moments(configuration, label)
    if isotropic:
        check_torque(label)


def check_shapes(configuration: Configuration, label: Label) -> None:
    """Raise FrameError if an array does not have one vector per atom."""
    wanted = (len(configuration.atoms), 3)
    for name in ("forces", "moments", "magnetic_forces"):
        if np.shape(getattr(label, name)) != wanted:
            raise FrameError(f"{name} of shape {np.shape(getattr(label, name))}, expected {wanted}")
    if label.virial is not None and np.shape(label.virial) != (3, 3):
        raise FrameError(f"virial of shape {np.shape(label.virial)}, expected (3, 3)")


def check_finite(label: Label) -> None:
    """Raise FrameError for NaN and infinity."""
    for name in ("energy", "forces", "moments", "magnetic_forces", "virial"):
        values = getattr(label, name)
        if values is not None and not np.isfinite(values).all():
            raise FrameError(f"{name}: not all numbers are finite")


def check_moments(configuration: Configuration, label: Label) -> None:
    """Raise FrameError if a held moment differs from its target in direction or, if held, in length."""
    held = configuration.constrained
    wanted, found = configuration.moments[held], label.moments[held]
    if not held.any():
        return
    across = np.linalg.norm(wanted[:, :2], axis=1) > np.linalg.norm(wanted, axis=1) * np.sin(np.radians(5.0))
    if across.any() and np.abs(found[:, :2]).max() <= FLAT * np.abs(found).max():
        raise FrameError("all moments are along z, although the targets are not")
    if not found.any(axis=1).all():
        raise FrameError(f"the moment of atom {np.flatnonzero(held)[~found.any(axis=1)][0]} has vanished")
    angles = _angles(wanted, found)
    if angles.max() > MOST_ANGLE:
        atom = np.flatnonzero(held)[angles.argmax()]
        raise FrameError(f"the moment of atom {atom} is {angles.max():.1f}° off the held direction")
    if configuration.hold_lengths:
        lengths = np.linalg.norm(wanted, axis=1)
        stretch = np.abs(np.linalg.norm(found, axis=1) / lengths - 1.0)
        if stretch.max() > MOST_STRETCH:
            atom = np.flatnonzero(held)[stretch.argmax()]
            raise FrameError(f"the moment of atom {atom} is {100 * stretch.max():.1f} % off the held length")


def check_torque(label: Label) -> None:
    """Raise FrameError unless Σ S × F_mag vanishes, as it must if a common rotation costs no energy."""
    torques = np.cross(label.moments, label.magnetic_forces)
    total, apart = float(np.linalg.norm(torques.sum(axis=0))), float(np.sqrt((torques**2).sum()))
    if total > max(MOST_TORQUE * apart, LEAST_TORQUE):
        raise FrameError(
            f"Σ S × F_mag = {total:.2g} eV (single torques: {apart:.2g} eV), but it must vanish without "
            "spin-orbit coupling"
        )


def strange_energies(labels: Sequence[Label]) -> dict[int, str]:
    """Numbers of the frames whose energy is far from the others of the same system, and how far, in words."""
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
