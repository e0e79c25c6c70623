"""Numbers that look as if they were in another unit. A suspicion each: none of them is proof."""

from __future__ import annotations

import numpy as np
import vesin
from ase.data import atomic_numbers, covalent_radii

from spinpot.audit.work import Work, label_name
from spinpot.data.systems import System

CLOSE, WIDE = 0.6, 1.6
"""Nearest neighbours' distance over the sum of covalent radii in solids and molecules lies well between."""
FRAMES = 20
"""Distances are looked at in so many frames, evenly spaced."""
REACH = 6.0
"""Å within which nearest neighbours are sought."""
LARGE_MOMENT, SMALL_MOMENT = 12.0, 0.02
"""μ_B; the largest moments, of 4f elements, are about 10."""
LARGE_FORCE, LARGE_FORCE_MAG = 20.0, 5.0
"""rms in eV/Å and eV/μ_B."""
LARGE_SPREAD = 5.0
"""eV/atom, standard deviation of energies within a system."""
NEAR = 0.03
"""How close to a ratio of units a factor must be, relative."""

HARTREE, RYDBERG, BOHR = 27.211386, 13.605693, 0.529177
FORCE_RATIOS = {
    "forces in Hartree/Bohr": BOHR / HARTREE,
    "forces in Rydberg/Bohr": BOHR / RYDBERG,
    "forces in eV/Bohr": BOHR,
    "coordinates in Bohr": 1 / BOHR,
    "forces in meV/Å": 1000.0,
    "energies in Hartree": HARTREE,
    "energies in Rydberg": RYDBERG,
    "energies in meV": 1e-3,
}
FORCE_MAG_RATIOS = {
    "magnetic forces in Hartree/μ_B": 1 / HARTREE,
    "magnetic forces in Rydberg/μ_B": 1 / RYDBERG,
    "magnetic forces in meV/μ_B": 1000.0,
    "magnetic forces per spin ħ, of 2 μ_B, but moments in μ_B": 2.0,
    "moments in spins ħ, of 2 μ_B, but magnetic forces per μ_B": 0.5,
}


def suspicions(system: System, work: Work | None) -> list[str]:
    """What looks wrong, in words."""
    return [*_distances(system), *_moments(system), *_magnitudes(system), *_factors(system, work)]


def neighbour_ratio(system: System) -> float | None:
    """Median over atoms and frames of the nearest neighbour's distance over the sum of covalent radii.

    None for names that are no elements.
    """
    names = [system.type_map[kind] for kind in system.types]
    if not set(names) <= set(atomic_numbers):
        return None
    radii = covalent_radii[[atomic_numbers[name] for name in names]]
    search = vesin.NeighborList(cutoff=REACH, full_list=True, n_threads=1)
    found = []
    for frame in np.unique(np.linspace(0, len(system) - 1, FRAMES).astype(int)):
        i, j, distance = search.compute(
            points=system.coord[frame], box=system.box[frame], periodic=True, quantities="ijd"
        )
        nearest = np.full(len(names), np.inf)
        np.minimum.at(nearest, i, distance / (radii[i] + radii[j]))
        found.append(nearest)
    return float(np.median(found))


def _distances(system: System) -> list[str]:
    ratio = neighbour_ratio(system)
    if ratio is None or CLOSE <= ratio <= WIDE:
        return []
    far = f"{ratio:.2g} times the sum of covalent radii" if np.isfinite(ratio) else f"more than {REACH:g} Å"
    guess = "coordinates and cell in Bohr?" if ratio > WIDE else "coordinates and cell in nm, or scaled?"
    return [f"nearest neighbours are {far} apart: {guess}"]


def _moments(system: System) -> list[str]:
    length = np.linalg.norm(system.spin, axis=-1)
    own = length[length > 0]
    if not own.size:
        return []
    if np.ptp(own) < 1e-6 and abs(own[0] - 1) < 1e-6:
        return ["every moment is 1: directions in place of moments in μ_B?"]
    if own.max() > LARGE_MOMENT:
        return [f"moments of up to {own.max():.3g}: not in μ_B?"]
    if own.max() < SMALL_MOMENT:
        return [f"no moment is above {own.max():.2g}: not in μ_B, or not magnetic?"]
    return []


def _magnitudes(system: System) -> list[str]:
    said = []
    if system.energy is not None:
        spread = float(system.energy.std() / system.n_atoms)
        if spread > LARGE_SPREAD:
            said.append(f"energies spread by {spread:.3g} eV/atom: in kJ/mol or kcal/mol?")
    for values, most, name in (
        (system.force, LARGE_FORCE, "forces of {:.3g} eV/Å"),
        (system.force_mag, LARGE_FORCE_MAG, "magnetic forces of {:.3g} eV/μ_B"),
    ):
        rms = 0.0 if values is None else float(np.sqrt((values**2).sum(-1).mean()))
        if rms > most:
            said.append(name.format(rms) + " rms: in another unit?")
    return said


def _factors(system: System, work: Work | None) -> list[str]:
    """Factors of the works that are ratios of units."""
    per_atom = {"energies per atom in place of those of the frame": float(system.n_atoms)}
    said = []
    for label, factor in (work.factors if work else {}).items():
        ratios = {**FORCE_RATIOS, **per_atom} if label == "force" else {}
        if label.endswith("transverse"):
            ratios = FORCE_MAG_RATIOS
        for guess, ratio in ratios.items():
            if factor.value is not None and abs(factor.value / ratio - 1) < NEAR:
                said.append(f"{label_name(label)} are {factor.value:.4g} times what they should be: {guess}?")
    return said
