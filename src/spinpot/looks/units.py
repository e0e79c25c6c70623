"""Finds numbers that are probably in another unit. Each result is a suspicion, not a proof."""

import numpy as np
from ase.data import atomic_numbers, covalent_radii

from spinpot.core.quantities import FORCE, FORCE_MAG
from spinpot.data.pairs import close_pairs
from spinpot.data.readers.moments import all_unit
from spinpot.data.systems import System
from spinpot.looks.look import Look

CLOSE, WIDE = 0.6, 1.6
"""Limits of the nearest-neighbour distance over the sum of covalent radii; normal values lie well between."""
FRAMES = 20  # evenly spaced frames in which distances are checked
REACH = 6.0  # Å, search radius for nearest neighbours
LARGE_MOMENT, SMALL_MOMENT = 12.0, 0.02  # μ_B; the largest moments, of 4f elements, are about 10
LARGE_FORCE, LARGE_FORCE_MAG = 20.0, 5.0  # rms in eV/Å and eV/μ_B
LARGE_SPREAD = 5.0  # eV/atom, standard deviation of energies within a system


def unit_looks(system: System, frames: int = FRAMES) -> list[Look]:
    """Suspicions about units. frames: number of evenly spaced frames in which distances are checked."""
    distances = distance_looks(system, frames) if frames else []
    return [*distances, *_moments(system), *_magnitudes(system)]


def neighbour_ratio(system: System, frames: int = FRAMES) -> float | None:
    """Median nearest-neighbour distance over the sum of covalent radii; None if names are not elements."""
    names = system.elements
    if not set(names) <= set(atomic_numbers):
        return None
    radii = covalent_radii[[atomic_numbers[name] for name in names]]
    chosen = np.unique(np.linspace(0, len(system) - 1, frames).astype(int))
    frame, i, j, distance = close_pairs(system.box[chosen], system.coord[chosen], system.pbc, REACH)
    nearest = np.full((len(chosen), len(names)), np.inf)
    for own in (i, j):
        np.minimum.at(nearest, (frame, own), distance / (radii[i] + radii[j]))
    return float(np.median(nearest))


def distance_looks(system: System, frames: int = FRAMES) -> list[Look]:
    """Suspicion that coordinates and cell are not in Å."""
    ratio = neighbour_ratio(system, frames)
    if ratio is None or CLOSE <= ratio <= WIDE:
        return []
    far = f"{ratio:.2g} times the sum of covalent radii" if np.isfinite(ratio) else f"more than {REACH:g} Å"
    guess = "coordinates and cell in Bohr?" if ratio > WIDE else "coordinates and cell in nm, or scaled?"
    return [Look(guess, f"nearest neighbours are {far} apart")]


def _moments(system: System) -> list[Look]:
    length = np.linalg.norm(system.spin, axis=-1)
    own = length[length > 0]
    if not own.size:
        return []
    if all_unit([np.asarray(system.spin)]):
        return [Look("directions instead of moments in μ_B?", "every moment is 1")]
    if own.max() > LARGE_MOMENT:
        return [Look("moments not in μ_B?", f"they reach {own.max():.3g}")]
    if own.max() < SMALL_MOMENT:
        return [Look("moments not in μ_B, or not magnetic?", f"none is above {own.max():.2g}")]
    return []


def _magnitudes(system: System) -> list[Look]:
    said = []
    if system.energy is not None:
        spread = float(np.std(system.energy) / system.n_atoms)
        if spread > LARGE_SPREAD:
            said.append(Look("energies in meV, kJ/mol or kcal/mol?", f"they spread by {spread:.3g} eV/atom"))
    for own, most in ((FORCE, LARGE_FORCE), (FORCE_MAG, LARGE_FORCE_MAG)):
        values = getattr(system, own.label)
        rms = 0.0 if values is None else float(np.sqrt(np.square(values).sum(-1).mean()))
        if rms > most:
            said.append(Look(f"{own.plural} in another unit?", f"their rms is {rms:.3g} {own.unit}"))
    return said
