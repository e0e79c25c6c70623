"""What of a batch the exchange term depends on, its parts made when first asked for."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from spinpot.data.batch import Batch
from spinpot.models.exchange.landau import Moments
from spinpot.models.exchange.pairs import RadialBasis, SpinPairs


class Structure:
    """Its pairs and moments, constants for any coefficients.

    Each term is a sum over some of the pairs. On a CPU those are picked out; elsewhere, where the host would
    have to wait to hear how many they are, all pairs are taken and the others count nothing (`pick`).

    magnetic: (T,) the place of each element among the magnetic ones, -1 for the others; elements: (T,) its
    place among all; types: the magnetic elements in their order; moment_squared: S_0² of each, μ_B².
    """

    def __init__(
        self,
        batch: Batch,
        basis: RadialBasis,
        field_basis: RadialBasis,
        magnetic: Tensor,
        elements: Tensor,
        types: list[int],
        moment_squared: Tensor,
    ) -> None:
        self.batch, self.basis, self.field_basis = batch, basis, field_basis
        self.pick = batch.types.device.type == "cpu"
        self.elements, self.types, self.moment_squared = elements, types, moment_squared
        virtual = torch.full_like(magnetic, -1)
        self._neighbour = torch.cat((magnetic, virtual))[batch.pair_type]
        self._centre = magnetic[batch.types][batch.pair_centre]

    @cached_property
    def spins(self) -> SpinPairs:
        """The pairs of atoms that both carry moments."""
        return self._pairs((self._centre >= 0) & (self._neighbour >= 0))

    def _pairs(self, wanted: Tensor) -> SpinPairs:
        if self.pick:
            return SpinPairs(self.batch, wanted.nonzero().squeeze(-1), self.basis)
        return SpinPairs(self.batch, slice(None), self.basis, wanted)

    @cached_property
    def spins_kind(self) -> Tensor:
        """The unordered pair of magnetic elements of each of `spins`."""
        centre, neighbour = (of[self.spins.chosen].clamp(min=0) for of in (self._centre, self._neighbour))
        low, high = torch.minimum(centre, neighbour), torch.maximum(centre, neighbour)
        return low * len(self.moment_squared) - low * (low - 1) // 2 + high - low

    @cached_property
    def surroundings(self) -> SpinPairs:
        """The pairs of atoms with moments and their neighbours of any element."""
        return self._pairs((self._centre >= 0) & (self.batch.pair_type < len(self.elements)))

    @cached_property
    def surroundings_kind(self) -> Tensor:
        """The magnetic element and the neighbour's element of each of `surroundings`."""
        chosen = self.surroundings.chosen
        # Of virtual neighbours, which count nothing, that of the real one.
        neighbour = self.elements[self.batch.pair_type[chosen] % len(self.elements)]
        return self._centre[chosen].clamp(min=0) * len(self.elements) + neighbour

    @cached_property
    def moments(self) -> Moments:
        """The magnetic atoms, by element."""
        batch, spin = self.batch, self.batch.spin.double()
        by_type = batch.atom_order.split(batch.type_sizes)
        atoms = [by_type[t] for t in self.types]
        excess = [spin[n].square().sum(-1) - S_0 for n, S_0 in zip(atoms, self.moment_squared, strict=True)]
        place = self._neighbour[self.spins.chosen].clamp(min=0)
        return Moments(batch, self.spins, self.field_basis, place, atoms, excess)
