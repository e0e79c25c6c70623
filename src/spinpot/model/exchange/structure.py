"""What of a batch the exchange term depends on, its parts made when first asked for."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from spinpot.data.batch import Batch
from spinpot.model.exchange.landau import Moments
from spinpot.model.exchange.pairs import RadialBasis, SpinPairs


class Structure:
    """Its pairs and moments, constants for any coefficients.

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
        self.elements, self.types, self.moment_squared = elements, types, moment_squared
        virtual = torch.full_like(magnetic, -1)
        self._neighbour = torch.cat((magnetic, virtual))[batch.pair_type]
        self._centre = magnetic[batch.types][batch.pair_centre]
        self._chosen = ((self._centre >= 0) & (self._neighbour >= 0)).nonzero().squeeze(-1)

    @cached_property
    def spins(self) -> SpinPairs:
        """The pairs of atoms that both carry moments."""
        return SpinPairs(self.batch, self._chosen, self.basis)

    @cached_property
    def spins_kind(self) -> Tensor:
        """The unordered pair of magnetic elements of each of `spins`."""
        centre, neighbour = self._centre[self._chosen], self._neighbour[self._chosen]
        low, high = torch.minimum(centre, neighbour), torch.maximum(centre, neighbour)
        return low * len(self.moment_squared) - low * (low - 1) // 2 + high - low

    @cached_property
    def _around(self) -> Tensor:
        real = self.batch.pair_type < len(self.elements)
        return ((self._centre >= 0) & real).nonzero().squeeze(-1)

    @cached_property
    def surroundings(self) -> SpinPairs:
        """The pairs of atoms with moments and their neighbours of any element."""
        return SpinPairs(self.batch, self._around, self.basis)

    @cached_property
    def surroundings_kind(self) -> Tensor:
        """The magnetic element and the neighbour's element of each of `surroundings`."""
        neighbour = self.elements[self.batch.pair_type[self._around]]
        return self._centre[self._around] * len(self.elements) + neighbour

    @cached_property
    def moments(self) -> Moments:
        """The magnetic atoms, by element."""
        batch, spin = self.batch, self.batch.spin.double()
        by_type = batch.atom_order.split(batch.type_sizes)
        atoms = [by_type[t] for t in self.types]
        excess = [spin[n].square().sum(-1) - S_0 for n, S_0 in zip(atoms, self.moment_squared, strict=True)]
        return Moments(batch, self.spins, self.field_basis, self._neighbour[self._chosen], atoms, excess)
