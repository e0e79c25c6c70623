"""Statistics of moments and forces of one system: lengths, tilts, components, net force and torque."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from spinpot.audit.outliers import SMALLEST
from spinpot.core.split import split_along
from spinpot.core.vectors import largest
from spinpot.data.readers.deepmd.rows import chunks
from spinpot.data.systems import System


@dataclass(frozen=True)
class ElementMoments:
    """Moments of one element in μ_B, and its magnetic forces in eV/μ_B (None without labels).

    least, mean, spread, greatest: of |S| over all frames. without: number of frames in which all its moments
    are zero. transverse, longitudinal: rms of the components perpendicular and parallel to the moments.
    unowned: the largest magnetic force on an atom with zero moment.
    """

    element: str
    atoms: int
    least: float
    mean: float
    spread: float
    greatest: float
    without: int
    transverse: float | None
    longitudinal: float | None
    unowned: float | None


def moments_by_element(system: System) -> list[ElementMoments]:
    """One entry per element of the system, in the order of the type map."""
    return [_of_element(system, kind) for kind in np.unique(system.types)]


def _of_element(system: System, kind: int) -> ElementMoments:
    own = system.types == kind
    count = len(system) * int(own.sum())

    def lengths() -> Iterator[np.ndarray]:
        return (np.linalg.norm(spin[:, own], axis=-1) for (spin,) in chunks(system.spin))

    seen = [(one.sum(), one.min(), one.max(), (one == 0).all(axis=1).sum()) for one in lengths()]
    total, least, greatest, without = np.array(seen).T
    mean = total.sum() / count
    variance = sum(((length - mean) ** 2).sum() for length in lengths()) / count
    return ElementMoments(
        element=system.type_map[kind],
        atoms=int(own.sum()),
        least=float(least.min()),
        mean=float(mean),
        spread=float(np.sqrt(variance)),
        greatest=float(greatest.max()),
        without=int(without.sum()),
        **_forces(system, own),
    )


def _forces(system: System, own: np.ndarray) -> dict[str, float | None]:
    """The magnetic-force fields of ElementMoments. own: (N,) bools, the atoms of the element."""
    if system.force_mag is None:
        return dict.fromkeys(("transverse", "longitudinal", "unowned"))
    squares, count, unowned = torch.zeros(2).double(), 0, 0.0
    for spin, force in chunks(system.spin, system.force_mag):
        spin, force = spin[:, own], force[:, own]
        has = np.linalg.norm(spin, axis=-1) > 0
        parts = split_along(torch.from_numpy(force[has]), torch.from_numpy(spin[has]))
        squares += torch.stack([part.square().sum(-1).sum() for part in parts])
        count += int(has.sum())
        unowned = max(unowned, largest(force[~has]))
    transverse, longitudinal = (squares / count).sqrt().tolist() if count else (None, None)
    return {"transverse": transverse, "longitudinal": longitudinal, "unowned": unowned}


def tilts(spin: np.ndarray) -> np.ndarray:
    """Angles in degrees between non-zero moments of (F, N, 3) and the collinear axis of their frame, (n,).

    The axis n of a frame maximises Σ (S·n)². Antiparallel moments lie on it too, so no angle exceeds 90°.
    """
    _, vectors = np.linalg.eigh(np.einsum("fia,fib->fab", spin, spin))
    length = np.linalg.norm(spin, axis=-1)
    along = np.abs(np.einsum("fia,fa->fi", spin, vectors[:, :, -1]))
    has = length > 0
    angles: np.ndarray = np.degrees(np.arccos(np.minimum(along[has] / length[has], 1.0)))
    return angles


def net_force(system: System) -> float | None:
    """|Σ F| over the atoms relative to unrelated forces; 0 for a translation-invariant energy."""
    return None if system.force is None else _net(force for (force,) in chunks(system.force))


def net_torque(system: System) -> float | None:
    """The same for the torques S × F_mag; 0 if a common rotation of all moments conserves the energy.

    This holds without spin-orbit coupling, dipole interaction and external field.
    """
    if system.force_mag is None:
        return None
    return _net(np.cross(spin, force) for spin, force in chunks(system.spin, system.force_mag))


def _net(given: Iterable[np.ndarray]) -> float:
    """√⟨|Σ v|²⟩ / √⟨Σ |v|²⟩ of (F, N, 3), with sums over atoms and means over frames; 0 for tiny vectors."""
    total = apart = count = 0.0
    for vectors in given:
        total += (vectors.sum(axis=1) ** 2).sum()
        apart += (vectors**2).sum()
        count += vectors.size / 3
    return float(np.sqrt(total / apart)) if apart > count * SMALLEST**2 else 0.0
