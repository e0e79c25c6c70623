"""What knows little: predictions without a network, to set a model's errors beside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from spinpot.data.batch import Batch, batches
from spinpot.data.dataset import FrameDataset
from spinpot.data.systems import System
from spinpot.loss.label_scale import scaled
from spinpot.loss.metrics import ErrorMetric
from spinpot.model.exchange.fit import fit_systems
from spinpot.model.exchange.term import ExchangeTerm
from spinpot.model.settings import ExchangeSettings, ModelSpec
from spinpot.model.statistics import energy_bias

Predict = Callable[[Batch], dict[str, Tensor]]


def dataset_errors(
    predict: Predict,
    dataset: FrameDataset,
    magnetic: Sequence[bool],
    batch_size: int = 16,
    scale: Tensor | None = None,
) -> dict[str, float]:
    """The errors of a predictor over a data set, as ErrorMetric gives them.

    scale: (T,), the c of loss.label_scale_fm.
    """
    # Of this process alone: the others may have nothing to do with it.
    metric = ErrorMetric(dataset.systems[0].type_map, magnetic, sync_on_compute=False)
    for batch in batches(dataset, batch_size):
        metric.update(predict(batch), batch, scale)
    return metric.compute()


@dataclass(frozen=True)
class MeanBaseline:
    """Predicts means: per element for the forces, per atom for energy and virial.

    Energies are sums of energy_per_element (T,), eV; force, force_mag: (T, 3); virial per atom: (3, 3).
    """

    energy_per_element: Tensor
    energy_per_atom: float
    force: Tensor
    force_mag: Tensor
    virial: Tensor

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        """The same numbers for every frame, under the names of spinpot.conventions."""
        per_atom = self.energy_per_element[batch.types] + self.energy_per_atom
        energy = torch.zeros(batch.n_frames, dtype=torch.float64).index_add(0, batch.frame, per_atom)
        return {
            "energy": energy,
            "force": self.force[batch.types],
            "force_mag": self.force_mag[batch.types],
            "virial": batch.n_atoms[:, None, None] * self.virial,
        }


def mean_of(systems: Sequence[System]) -> MeanBaseline:
    """The means of some systems' labels; the energy by least squares on the composition."""
    n_types = len(systems[0].type_map)
    return MeanBaseline(
        energy_per_element=torch.from_numpy(energy_bias(systems)),
        energy_per_atom=0.0,
        force=_mean_per_element([(s.types, s.force) for s in systems], n_types),
        force_mag=_mean_per_element([(s.types, s.force_mag) for s in systems], n_types),
        virial=_mean_per_atom([(s.n_atoms, s.virial) for s in systems], (3, 3)),
    )


def spread_of(systems: Sequence[System]) -> MeanBaseline:
    """The predictor whose errors are the labels' own spread.

    That is their rms, and for energy and virial, per atom, the deviation from their mean.
    """
    n_types = len(systems[0].type_map)
    return MeanBaseline(
        energy_per_element=torch.zeros(n_types, dtype=torch.float64),
        energy_per_atom=float(_mean_per_atom([(s.n_atoms, s.energy) for s in systems], ())),
        force=torch.zeros(n_types, 3, dtype=torch.float64),
        force_mag=torch.zeros(n_types, 3, dtype=torch.float64),
        virial=_mean_per_atom([(s.n_atoms, s.virial) for s in systems], (3, 3)),
    )


def heisenberg_of(systems: Sequence[System], spec: ModelSpec, scale: Tensor | None = None) -> Predict:
    """Heisenberg exchange and the energy of the moments' length, fitted to all labels but the virial.

    spec: of the model it is set beside, whose cutoff is that of the exchange. scale: (T,), the multiples of
    −∂E/∂S that the labels are, and so the predictions.
    """
    term = ExchangeTerm(replace(spec, exchange=ExchangeSettings(("bilinear", "landau"))))
    fit = fit_systems(term, systems, ("energy", "force", "force_mag"), scale)

    def predict(batch: Batch) -> dict[str, Tensor]:
        made = term.evaluate(term.structure(batch), fit.coefficients)
        per_atom = made.atom_energy + fit.energy_bias[batch.types]
        energy = torch.zeros(batch.n_frames, dtype=torch.float64).index_add(0, batch.frame, per_atom)
        names = ("force", "force_mag", "virial")
        found = {"energy": energy, **{name: getattr(made, name) for name in names}}
        return found if scale is None else scaled(found, batch.types, scale)

    return predict


def _mean_per_element(labels: list[tuple[np.ndarray, np.ndarray | None]], n_types: int) -> Tensor:
    sums, counts = np.zeros((n_types, 3)), np.zeros(n_types)
    for types, values in labels:
        if values is not None:
            np.add.at(sums, types, values.sum(axis=0))
            np.add.at(counts, types, len(values))
    return torch.from_numpy(sums / np.maximum(counts, 1)[:, None])


def _mean_per_atom(labels: list[tuple[int, np.ndarray | None]], shape: tuple[int, ...]) -> Tensor:
    values = [value / n_atoms for n_atoms, value in labels if value is not None]
    if not values:
        return torch.zeros(shape, dtype=torch.float64)
    return torch.as_tensor(np.concatenate(values).mean(axis=0), dtype=torch.float64)
