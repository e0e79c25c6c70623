"""What the model takes from the training data before it is trained: davg, dstd and the energy bias."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from spinpot.data.batch import Frame
from spinpot.data.systems import System
from spinpot.models.deepspin.collocation import NUMBERS, USUAL_CLOSEST, Nodes
from spinpot.models.deepspin.environment import environment_rows
from spinpot.models.deepspin.potential import SpinPotential

SMALLEST_DEVIATION = 0.01
UNSEEN_DEVIATION = 0.1  # of elements without training atoms, as in deepmd-kit


def set_statistics(potential: SpinPotential, frames: Iterable[Frame], systems: Sequence[System]) -> None:
    """Fill davg, dstd, energy_bias and the range of the nodes of a potential from the training frames."""
    seen: list[np.ndarray] = []
    davg, dstd = environment_statistics(potential, _noting_closest(frames, seen))
    if not potential.spec.descriptor.set_davg_zero:
        potential.descriptor.davg.copy_(davg)
    potential.descriptor.dstd.copy_(dstd)
    potential.energy_bias.copy_(torch.from_numpy(energy_bias(systems)))
    set_nodes(potential, np.min(seen, axis=0))


def _noting_closest(frames: Iterable[Frame], seen: list[np.ndarray]) -> Iterator[Frame]:
    """The same frames, gone over once; `seen` is filled with their closest neighbours."""
    for frame in frames:
        seen.append(frame.closest)
        yield frame


def environment_statistics(potential: SpinPotential, frames: Iterable[Frame]) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the environment rows per centre element, (T, 4) each, float64.

    All N_sel slots count, empty ones as 0; x, y and z are pooled. Their mean is subtracted in dstd, but davg
    has zeros for them, so that the descriptor stays rotationally invariant.
    """
    settings, n_types = potential.spec.descriptor, len(potential.spec.type_map)
    sums = torch.zeros(n_types, 4, dtype=torch.float64)
    squares = torch.zeros(n_types, 4, dtype=torch.float64)
    atoms = torch.zeros(n_types, dtype=torch.float64)
    for frame in frames:
        vector = torch.from_numpy(frame.pair_vector)
        rows = environment_rows(vector, settings.rcut_smth, settings.rcut, settings.env_protection)
        centre_type = torch.from_numpy(frame.types[frame.pair_centre])
        sums.index_add_(0, centre_type, rows)
        squares.index_add_(0, centre_type, rows * rows)
        atoms += torch.from_numpy(np.bincount(frame.types, minlength=n_types))

    slots = (atoms * potential.descriptor.n_sel).unsqueeze(-1)
    mean, square = sums / slots.clamp(min=1), squares / slots.clamp(min=1)
    radial = (square[:, :1] - mean[:, :1] ** 2).clamp(min=0).sqrt()
    angular_mean, angular_square = mean[:, 1:].mean(1, keepdim=True), square[:, 1:].mean(1, keepdim=True)
    angular = (angular_square - angular_mean**2).clamp(min=0).sqrt()
    davg = torch.cat((mean[:, :1], torch.zeros(n_types, 3, dtype=torch.float64)), dim=1)
    dstd = torch.cat((radial, angular.expand(-1, 3)), dim=1).clamp(min=SMALLEST_DEVIATION)
    return davg, torch.where(slots > 0, dstd, UNSEEN_DEVIATION)


def set_nodes(potential: SpinPotential, closest: np.ndarray) -> None:
    """Let the nodes reach to the closest neighbours (T,), Å, of each centre element; inf for none."""
    known = np.where(np.isinf(closest), USUAL_CLOSEST, closest).tolist()
    potential.descriptor.nodes = Nodes.equally_many(known, NUMBERS[0])


def energy_bias(systems: Sequence[System], per_atom: bool = False) -> np.ndarray:
    """Energy per atom of each element (T,), eV: least squares on the composition, of minimum norm.

    per_atom: whether the errors of energies per atom are least, not those of energies.
    """
    labelled = [system for system in systems if system.energy is not None]
    n_types = len(systems[0].type_map)
    if not labelled:
        return np.zeros(n_types)
    compositions = np.concatenate(
        [np.tile(np.bincount(system.types, minlength=n_types), (len(system), 1)) for system in labelled]
    )
    energies = np.concatenate([system.energy for system in labelled if system.energy is not None])
    n_atoms = compositions.sum(axis=1, keepdims=True) if per_atom else np.ones((1, 1))
    return composition_fit(compositions / n_atoms, energies / n_atoms[:, 0])


def composition_fit(compositions: np.ndarray, energies: np.ndarray) -> np.ndarray:
    """Least squares of energies (F,) on the atoms of each element (F, T), of minimum norm: (T,)."""
    return np.linalg.lstsq(compositions.astype(np.float64), energies, rcond=None)[0]
