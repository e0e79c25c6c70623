"""The labels that a fresh potential may start from, as the loss weighs them."""

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
    """The training frames' labels, and how much each kind of them counts.

    prefactors: of the loss's terms that are on, at their limits, by the names of core.quantities. power: the
    errors of energy and virial are divided by N**power. magnetic: (T,), the elements with spin. scale: (T,),
    the multiples of −∂E/∂S that the magnetic forces are, None for 1. seed: of what is drawn. less: parts of
    the model that give some of them already. held_out: the validation frames, to tell errors by.
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
        """Of the labels that are trained; of the magnetic force maybe one part alone."""
        terms = (QUANTITIES[name] for name in self.prefactors)
        return {term.name if term.whole else term.label for term in terms}

    def without(self, *parts: Callable[[Batch], Derivatives]) -> Self:
        """What other parts of the model leave of them."""
        return replace(self, less=(*self.less, *parts))

    def batches(
        self, places: Iterable[Place], size: int, device: torch.device | str = "cpu"
    ) -> Iterator[Batch]:
        """Frames, `size` at a time; their magnetic forces are −∂E/∂S."""
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
    """The part of a model that elements have an energy of their own, (T,), eV."""

    def part(batch: Batch) -> Derivatives:
        none = torch.zeros_like(batch.force)
        return Derivatives(energies[batch.types], none, none, torch.zeros_like(batch.virial))

    return part
