"""Sublattices of moments, rotations about an axis, and transverse magnetic forces."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from scipy.spatial.transform import Rotation

from spinpot.core.errors import require
from spinpot.core.vectors import transverse, unit

PARALLEL = 30.0  # degrees; moments of one element within this angle form a sublattice


def sublattices(atoms: Atoms) -> list[np.ndarray]:
    """The magnetic atoms (indices), grouped by element and by the direction of their moments."""
    spin = atoms.get_initial_magnetic_moments()
    length = np.linalg.norm(spin, axis=1)
    groups: list[list[int]] = []
    for i in np.flatnonzero(length):
        for group in groups:
            first = group[0]
            cosine = spin[i] @ spin[first] / (length[i] * length[first])
            if atoms.numbers[i] == atoms.numbers[first] and cosine > np.cos(np.radians(PARALLEL)):
                group.append(int(i))
                break
        else:
            groups.append([int(i)])
    return [np.array(group) for group in groups]


def turned(spin: np.ndarray, axis: np.ndarray, angle: float | np.ndarray) -> np.ndarray:
    """Spins (N, 3) rotated about a unit vector (3,) by one angle, or one angle each (N,), rad."""
    angles = np.broadcast_to(angle, len(spin))
    return np.asarray(Rotation.from_rotvec(angles[:, None] * axis).apply(spin))


def fields_across(atoms: Atoms) -> np.ndarray:
    """The components of −∂E/∂S perpendicular to the moments (N, 3), eV/μ_B; zero at equilibrium."""
    fields = atoms.calc.get_property("magnetic_forces", atoms)
    return transverse(fields, atoms.get_initial_magnetic_moments())


def axis_of_turn(key: str, given: Sequence[float] | None, spin: np.ndarray) -> np.ndarray:
    """The unit vector along `given`; without it, one perpendicular to the first of the moments (N, 3).

    key: the setting, for messages. Raises InputError for a zero axis, and for an axis along all moments,
    about which a rotation changes nothing.
    """
    if given is None:
        first = spin[np.argmax(spin.any(axis=1))]
        return unit(np.cross(first, np.eye(3)[np.argmin(np.abs(first))]))
    require(len(given) == 3 and any(given), key, list(given), "a vector with a direction, such as [0,0,1].")
    axis = unit(np.array(given, dtype=np.float64))
    across = np.linalg.norm(np.cross(spin, axis), axis=1).max() >= 1e-3 * np.linalg.norm(spin, axis=1).max()
    expected = (
        "an axis that is not along the moments, about which a rotation changes nothing; null chooses one."
    )
    require(across, key, list(given), expected)
    return axis


def in_numbers(vector: np.ndarray) -> str:
    """`(0, 0.707, −0.707)`."""
    return "(" + ", ".join(f"{x:.3g}".replace("-", "−") for x in np.round(vector, 6) + 0.0) + ")"
