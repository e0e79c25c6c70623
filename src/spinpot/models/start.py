"""The labels, with the loss's weights, from which a new potential can be initialised."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from spinpot.core.quantities import QUANTITIES
from spinpot.data.batch import Batch, batches
from spinpot.data.dataset import make_frame
from spinpot.data.geometry import Geometry
from spinpot.data.systems import System
from spinpot.models.derivatives import Derivatives, total

Place = tuple[System, int]
"""A frame of a system."""


@dataclass(frozen=True)
class TrainingLabels:
    """The training frames' labels and their weights.

    prefactors: limit prefactors of the loss's active terms, by the names of core.quantities. power: the
    errors of energy and virial are divided by N**power. magnetic: (T,), the elements with spin. scale: (T,),
    c of the magnetic forces −c ∂E/∂S; None for 1. seed: of random draws. less: parts of the model whose
    predictions are subtracted from the labels. held_out: the validation frames, to measure errors on.
    """

    systems: Sequence[System]
    geometry: Geometry
    prefactors: Mapping[str, float]
    power: float
    magnetic: Tensor
    scale: Tensor | None = None
    seed: int = 0
    less: tuple[Callable[[Batch], Derivatives], ...] = ()
    held_out: Sequence[System] = ()

    @property
    def names(self) -> set[str]:
        """Names of the labels that are trained; of the magnetic force possibly one part alone."""
        terms = (QUANTITIES[name] for name in self.prefactors)
        return {term.name if term.whole else term.label for term in terms}

    def without(self, *parts: Callable[[Batch], Derivatives]) -> Self:
        """The residuals: the labels minus the predictions of other parts of the model."""
        return replace(self, less=(*self.less, *parts))

    def batches(
        self, places: Iterable[Place], size: int, device: torch.device | str = "cpu"
    ) -> Iterator[Batch]:
        """Batches of `size` frames; their magnetic forces are −∂E/∂S, in eV/μ_B."""
        frames = (make_frame(*place) for place in places)
        return (self._left(batch.to(device)) for batch in batches(frames, self.geometry, size))

    @torch.no_grad()
    def _left(self, batch: Batch) -> Batch:
        if self.scale is not None:
            scale = self.scale.to(batch.types.device)
            batch = replace(batch, force_mag=batch.force_mag / scale[batch.types].unsqueeze(-1))
        if not self.less:
            return batch
        known = total([part(batch) for part in self.less])
        return replace(
            batch,
            energy=batch.energy.index_add(0, batch.frame, -known.atom_energy),
            force=batch.force - known.force,
            force_mag=batch.force_mag - known.force_mag,
            virial=batch.virial - known.virial,
        )


def of_elements(energies: Tensor) -> Callable[[Batch], Derivatives]:
    """The part of a model with one energy per element, (T,), eV."""

    def part(batch: Batch) -> Derivatives:
        none = torch.zeros_like(batch.force)
        return Derivatives(energies[batch.types], none, none, torch.zeros_like(batch.virial))

    return part
