"""Cells that are periodic along some directions only, and what replaces their other vectors."""

from collections.abc import Sequence

import numpy as np

from spinpot.core.vectors import unit

Periodic = tuple[bool, bool, bool]  # for each lattice vector: is the structure periodic along it?

PERIODIC: Periodic = (True, True, True)
CLUSTER: Periodic = (False, False, False)


def completed(box: np.ndarray, pbc: Sequence[bool]) -> np.ndarray:
    """Cells (…, 3, 3) with unit vectors in place of the non-periodic vectors, whose values are ignored.

    The unit vectors are normal to the periodic vectors and to each other, so that fractional coordinates
    along them are lengths in Å.
    """
    periodic = np.array(pbc, dtype=bool)
    if periodic.all():
        return box
    made = np.where(periodic[:, None], box, 0.0)
    if not periodic.any():
        made[...] = np.eye(3)
    elif periodic.sum() == 2:
        k = int(np.flatnonzero(~periodic)[0])
        made[..., k, :] = unit(np.cross(made[..., k - 2, :], made[..., k - 1, :]))
    else:
        k = int(np.flatnonzero(periodic)[0])
        along = unit(made[..., k, :])
        # All frames start from the same axis, so that the unit vectors follow the wire's direction smoothly.
        axis = np.eye(3)[np.abs(along.reshape(-1, 3)[0]).argmin()]
        made[..., k - 2, :] = unit(axis - (along @ axis)[..., None] * along)
        made[..., k - 1, :] = np.cross(along, made[..., k - 2, :])
    return made


def nearest_image(step: np.ndarray, pbc: Sequence[bool]) -> np.ndarray:
    """Differences of fractional coordinates (…, 3), reduced to the nearest periodic image."""
    return step - np.where(np.array(pbc, dtype=bool), np.round(step), 0.0)


def flat_cells(box: np.ndarray, pbc: Sequence[bool]) -> np.ndarray:
    """Which cells (F, 3, 3) have periodic vectors that are zero or linearly dependent: (F,) bool."""
    cell = completed(box, pbc)
    edges = np.linalg.norm(cell, axis=2).prod(axis=1)
    return np.asarray(~(np.abs(np.linalg.det(cell)) > FLAT * edges))


def volume(box: np.ndarray) -> float:
    """Volume of one cell (3, 3), Å³; faster than NumPy's determinant."""
    (a, b, c), (d, e, f), (g, h, i) = box.tolist()
    return float(abs(a * (e * i - f * h) + b * (f * g - d * i) + c * (d * h - e * g)))


FLAT = 1e-6  # a cell whose volume is below this fraction of |a||b||c| is singular


def room(box: np.ndarray, coord: np.ndarray, pbc: Sequence[bool]) -> float:
    """Volume of a frame, Å³: of its cell, with the atoms' extent (N, 3) along non-periodic directions."""
    cell = completed(box, pbc)
    extent = np.ptp(coord @ np.linalg.inv(cell), axis=0)
    return float(abs(np.linalg.det(cell)) * np.where(np.array(pbc, dtype=bool), 1.0, extent).prod())


VACUUM = 30.0  # Å between images where a format needs a cell vector along a non-periodic direction


def with_vacuum(box: np.ndarray, coord: np.ndarray, pbc: Sequence[bool]) -> np.ndarray:
    """Cells (F, 3, 3) for programs that know only periodic cells; coord: (F, N, 3), Å.

    Each non-periodic vector becomes a normal to the others. Its length is the extent of the atoms plus
    VACUUM, so that no atom interacts with an image.
    """
    cell = completed(box, pbc)
    extent = np.ptp(coord @ np.linalg.inv(cell), axis=1).max(axis=0)
    return cell * np.where(np.array(pbc, dtype=bool), 1.0, extent + VACUUM)[:, None]


def directions(pbc: Sequence[bool]) -> str:
    """In words: "in no direction", "along b", "along a and b"."""
    along = [name for name, periodic in zip("abc", pbc, strict=True) if periodic]
    if len(along) == 3:
        return "along a, b and c"
    return f"along {' and '.join(along)}" if along else "in no direction"
