"""Trivial predictors, as baselines of a model's errors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spinpot.core.console import counted
from spinpot.data.batch import Batch
from spinpot.data.dataset import FrameDataset
from spinpot.data.readers.deepmd.rows import chunks
from spinpot.data.systems import System
from spinpot.loss.metrics import ErrorMetric
from spinpot.models.energy_bias import energy_bias

Predict = Callable[[Batch], dict[str, Tensor]]


def dataset_errors(
    predict: Predict,
    dataset: FrameDataset,
    magnetic: Sequence[bool],
    batch_size: int = 16,
    scale: Tensor | None = None,
) -> dict[str, float]:
    """A predictor's errors over a data set, from ErrorMetric. scale: (T,), the c of loss.label_scale_fm."""
    metric = ErrorMetric(dataset.systems[0].type_map, magnetic)
    for batch in counted(dataset.batches(batch_size), "Errors", -(-len(dataset) // batch_size)):
        metric.update(predict(batch), batch, scale)
    return metric.compute()


@dataclass(frozen=True)
class MeanBaseline:
    """Predicts mean values: per element for the forces, per atom for energy and virial.

    Energies are sums of energy_per_element (T,), eV; force, force_mag: (T, 3); virial per atom: (3, 3).
    """

    energy_per_element: Tensor
    force: Tensor
    force_mag: Tensor
    virial: Tensor

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        """The prediction, which depends only on the composition, by the names in core.conventions."""
        per_atom = self.energy_per_element[batch.types]
        energy = torch.zeros(batch.n_frames, dtype=torch.float64).index_add(0, batch.frame, per_atom)
        return {
            "energy": energy,
            "force": self.force[batch.types],
            "force_mag": self.force_mag[batch.types],
            "virial": batch.n_atoms[:, None, None] * self.virial,
        }


def mean_of(systems: Sequence[System]) -> MeanBaseline:
    """Mean values of some systems' labels; energies are fitted to the composition by least squares."""
    force, force_mag = (_mean_per_element(systems, label) for label in ("force", "force_mag"))
    return MeanBaseline(torch.from_numpy(energy_bias(systems)), force, force_mag, _mean_virial(systems))


def spread_of(systems: Sequence[System]) -> MeanBaseline:
    """The predictor whose rms errors are the spread of these labels.

    The spread is the rms of the forces, the standard deviation of the virial per atom, and the rms residual
    of the energy per atom after a least-squares fit to the composition (for one composition, the standard
    deviation). Energies of different compositions differ by thousands of eV; their deviation from one common
    mean would not measure what a model has to learn.
    """
    energies = torch.from_numpy(energy_bias(systems, per_atom=True))
    zeros = torch.zeros(len(systems[0].type_map), 3, dtype=torch.float64)
    return MeanBaseline(energies, zeros, zeros, _mean_virial(systems))


def _mean_per_element(systems: Sequence[System], label: str) -> Tensor:
    n_types = len(systems[0].type_map)
    sums, counts = np.zeros((n_types, 3)), np.zeros(n_types)
    for system in systems:
        if (values := getattr(system, label)) is not None:
            np.add.at(sums, system.types, np.asarray(values).sum(axis=0))
            np.add.at(counts, system.types, len(values))
    return torch.from_numpy(sums / np.maximum(counts, 1)[:, None])


def _mean_virial(systems: Sequence[System]) -> Tensor:
    """The mean virial per atom, (3, 3)."""
    total, frames = np.zeros((3, 3)), 0
    for system in systems:
        for (virial,) in chunks(system.virial) if system.virial is not None else ():
            total = np.concatenate((total[None], virial / system.n_atoms)).sum(axis=0)
            frames += len(virial)
    return torch.from_numpy(total / max(frames, 1))
