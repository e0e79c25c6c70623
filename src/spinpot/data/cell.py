"""Cells that are periodic in some directions only: what takes the place of their other vectors."""

from collections.abc import Sequence

import numpy as np

from spinpot.core.vectors import unit

Periodic = tuple[bool, bool, bool]  # of each lattice vector, whether the structure repeats along it

PERIODIC: Periodic = (True, True, True)
CLUSTER: Periodic = (False, False, False)


def completed(box: np.ndarray, pbc: Sequence[bool]) -> np.ndarray:
    """Cells (…, 3, 3) with unit vectors in place of the vectors that nothing repeats along.

    The unit vectors are normal to the periodic vectors and to each other, so that coordinates in units of the
    cell are lengths in Å along them. The stored vectors of these directions may be anything, zeros too.
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
        # One axis for all frames, so that their unit vectors turn smoothly with the wire.
        axis = np.eye(3)[np.abs(along.reshape(-1, 3)[0]).argmin()]
        made[..., k - 2, :] = unit(axis - (along @ axis)[..., None] * along)
        made[..., k - 1, :] = np.cross(along, made[..., k - 2, :])
    return made


def nearest_image(step: np.ndarray, pbc: Sequence[bool]) -> np.ndarray:
    """Differences of fractional coordinates (…, 3), those along periodic directions to the nearest image."""
    return step - np.where(np.array(pbc, dtype=bool), np.round(step), 0.0)


def flat_cells(box: np.ndarray, pbc: Sequence[bool]) -> np.ndarray:
    """Which cells (F, 3, 3) have periodic vectors that are zero or depend on each other: (F,) bool."""
    cell = completed(box, pbc)
    edges = np.linalg.norm(cell, axis=2).prod(axis=1)
    return np.asarray(~(np.abs(np.linalg.det(cell)) > FLAT * edges))


def volume(box: np.ndarray) -> float:
    """Å³ of a cell (3, 3); of a single one quicker than NumPy's determinant."""
    (a, b, c), (d, e, f), (g, h, i) = box.tolist()
    return float(abs(a * (e * i - f * h) + b * (f * g - d * i) + c * (d * h - e * g)))


FLAT = 1e-6  # a cell whose volume is below this share of |a||b||c| has no inverse worth the name


def room(box: np.ndarray, coord: np.ndarray, pbc: Sequence[bool]) -> float:
    """Å³ that the atoms (N, 3) of a frame take: its cell, as high as they reach where nothing repeats."""
    cell = completed(box, pbc)
    extent = np.ptp(coord @ np.linalg.inv(cell), axis=0)
    return float(abs(np.linalg.det(cell)) * np.where(np.array(pbc, dtype=bool), 1.0, extent).prod())


VACUUM = 30.0  # Å between the images of atoms where a cell has to be given along directions that have none


def with_vacuum(box: np.ndarray, coord: np.ndarray, pbc: Sequence[bool]) -> np.ndarray:
    """Cells (F, 3, 3) for programs that know periodic cells alone; coord: (F, N, 3), Å.

    The vectors without images become normals to the others, as long as the atoms reach and VACUUM more, so
    that no atom sees an image that is not there.
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
