"""Draws directions of moments: tilts between neighbours, spirals, common rotations."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from spinpot.labels.configuration import Array
from spinpot.labels.neighbours import Pairs

Z = np.array([0.0, 0.0, 1.0])
TRIES = 100  # draws of directions until two neighbours have the wanted angle
SPREADS = np.geomspace(1e-4, 1e4, 161)  # standard deviations of the noise added to the axis


def draw_tilts(random: np.random.Generator, count: int, pairs: Pairs, low: float, high: float) -> Array:
    """Unit vectors (count, 3) about z; the largest angle between neighbours is drawn from low … high degrees.

    If no draw reaches the angle, e.g. close to 180°, the draw with the largest angle is returned.
    """
    wanted = random.uniform(low, high)
    widest, most = np.tile(Z, (count, 1)), 0.0
    for _ in range(TRIES if wanted > 0.0 else 0):
        sideways = random.normal(size=(count, 3))
        if (found := _spread_to(wanted, sideways, pairs)) is not None:
            return found
        free = _unit(sideways)
        if (angle := float(_largest_angle(free, pairs))) > most:
            widest, most = free, angle
    return widest


def _spread_to(wanted: float, sideways: Array, pairs: Pairs) -> Array | None:
    """Unit vectors along z + x·sideways, with the smallest x that reaches the wanted angle; else None."""
    spread = _unit(Z + SPREADS[:, None, None] * sideways)
    reached = np.flatnonzero(_largest_angle(spread, pairs) >= wanted)
    if not len(reached):
        return None
    high = float(SPREADS[reached[0]])
    low = float(SPREADS[reached[0] - 1]) if reached[0] else 0.0
    for _ in range(50):
        middle = (low + high) / 2
        if _largest_angle(_unit(Z + middle * sideways), pairs) >= wanted:
            high = middle
        else:
            low = middle
    return _unit(Z + high * sideways)


def _largest_angle(directions: Array, pairs: Pairs) -> Array:
    """The largest angle, in degrees, between neighbouring directions (…, N, 3)."""
    return np.asarray(angles_between(directions, pairs).max(axis=-1))


def angles_between(directions: Array, pairs: Pairs) -> Array:
    """The angle of each pair (…, P), in degrees, between vectors (…, N, 3) of any length."""
    first, second = directions[..., pairs[:, 0], :], directions[..., pairs[:, 1], :]
    across = np.linalg.norm(np.cross(first, second), axis=-1)
    return np.asarray(np.degrees(np.arctan2(across, (first * second).sum(axis=-1))))


def relative_to(base: Array, directions: Array) -> Array:
    """Directions (N, 3), each rotated by the rotation that takes z to its base (N, 3)."""
    axis = np.cross(Z, base)
    sine = np.linalg.norm(axis, axis=1, keepdims=True)
    axis = np.where(sine > 0.0, axis / np.where(sine > 0.0, sine, 1.0), [1.0, 0.0, 0.0])
    angle = np.arctan2(sine, base[:, 2:])
    return np.asarray(Rotation.from_rotvec(angle * axis).apply(directions))


def spiral(base: Array, phases: Array, first: Array) -> Array:
    """The directions (N, 3) rotated by phases (N,), radians, about an axis perpendicular to `first`."""
    axis = np.cross(first, np.eye(3)[np.argmin(np.abs(first))])
    axis /= np.linalg.norm(axis)
    return np.asarray(Rotation.from_rotvec(phases[:, None] * axis).apply(base))


def random_turn(random: np.random.Generator, directions: Array) -> Array:
    """All directions (N, 3) rotated by the same random rotation, drawn uniformly."""
    return np.asarray(Rotation.random(random_state=random).apply(directions))


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))
