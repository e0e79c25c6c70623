"""The energy bias: energy per atom of each element, fitted to the compositions."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from spinpot.data.batch import Batch
from spinpot.data.systems import System


def energy_bias(systems: Sequence[System], per_atom: bool = False) -> np.ndarray:
    """Energy per atom of each element (T,), eV: least squares on the composition, of minimum norm.

    per_atom: minimise the errors of energies per atom instead of total energies.
    """
    labelled = [system for system in systems if system.energy is not None]
    n_types = len(systems[0].type_map)
    if not labelled:
        return np.zeros(n_types)
    rows = np.array([np.bincount(system.types, minlength=n_types) for system in labelled])
    energies = np.concatenate([system.energy for system in labelled if system.energy is not None])
    known = np.isfinite(energies)  # frames that have not been checked yet may be broken
    compositions = np.repeat(rows, [len(system) for system in labelled], axis=0)[known]
    energies = energies[known]
    n_atoms = compositions.sum(axis=1, keepdims=True) if per_atom else np.ones((1, 1))
    return composition_fit(compositions / n_atoms, energies / n_atoms[:, 0])


def composition(batch: Batch) -> Tensor:
    """(F, T), number of atoms of each element, int64."""
    elements = len(batch.type_sizes)
    place = batch.frame * elements + batch.types
    return place.bincount(minlength=batch.n_frames * elements).view(batch.n_frames, -1)


def composition_fit(compositions: np.ndarray, energies: np.ndarray) -> np.ndarray:
    """Least squares of energies (F,) on compositions (F, T), of minimum norm: (T,)."""
    return np.asarray(np.linalg.lstsq(compositions.astype(np.float64), energies, rcond=None)[0])
