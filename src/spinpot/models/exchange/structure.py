"""The pairs and moments of a batch that the exchange term depends on, computed on first use."""

from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from spinpot.data.batch import Batch
from spinpot.models.exchange.pairs import SpinPairs

if TYPE_CHECKING:
    from spinpot.models.exchange.term import ExchangeTerm


class Structure:
    """Pairs and moments of a batch; they do not depend on the coefficients.

    Each term is a sum over some of the pairs. On a CPU these pairs are selected (`pick`). On other devices
    the host would have to wait for their number, so all pairs are used there, and the others contribute zero.

    term: the exchange term, which has the elements, moment_squared and radial functions.
    """

    def __init__(self, batch: Batch, term: "ExchangeTerm") -> None:
        self.batch, self.term = batch, term
        self.pick = batch.types.device.type == "cpu"
        virtual = torch.full_like(term.magnetic, -1)
        self._neighbour = torch.cat((term.magnetic, virtual))[batch.pair_type]
        self._centre = term.magnetic[batch.types][batch.pair_centre]

    @cached_property
    def spins(self) -> SpinPairs:
        """Pairs of atoms that both carry moments."""
        return self._pairs((self._centre >= 0) & (self._neighbour >= 0))

    def _pairs(self, wanted: Tensor) -> SpinPairs:
        if self.pick:
            return SpinPairs(self.batch, wanted.nonzero().squeeze(-1), self.term.basis)
        return SpinPairs(self.batch, slice(None), self.term.basis, wanted)

    @cached_property
    def spins_kind(self) -> Tensor:
        """The unordered pair of magnetic elements of each of `spins`."""
        centre, neighbour = (of[self.spins.chosen].clamp(min=0) for of in (self._centre, self._neighbour))
        low, high = torch.minimum(centre, neighbour), torch.maximum(centre, neighbour)
        return low * len(self.term.types) - low * (low - 1) // 2 + high - low

    @cached_property
    def surroundings(self) -> SpinPairs:
        """Pairs of an atom with a moment and a neighbour of any element."""
        return self._pairs((self._centre >= 0) & (self.batch.pair_type < len(self.term.elements)))

    @cached_property
    def surroundings_kind(self) -> Tensor:
        """The magnetic element and the neighbour's element of each of `surroundings`."""
        chosen, elements = self.surroundings.chosen, self.term.elements
        # Virtual neighbours do not count; they get the element of their real atom.
        neighbour = elements[self.batch.pair_type[chosen] % len(elements)]
        return self._centre[chosen].clamp(min=0) * len(elements) + neighbour

    @cached_property
    def atoms(self) -> list[Tensor]:
        """The atoms of each magnetic element."""
        by_type = self.batch.atom_order.split(self.batch.type_sizes)
        return [by_type[t] for t in self.term.types]

    @cached_property
    def excess(self) -> list[Tensor]:
        """S² − S_0² of the atoms of each magnetic element, (n,), μ_B²."""
        squared = zip(range(len(self.atoms)), self.term.moment_squared, strict=True)
        return [self.spin(element).square().sum(-1) - S_0 for element, S_0 in squared]

    def spin(self, element: int) -> Tensor:
        """Moments of the atoms of a magnetic element, (n, 3)."""
        return self.batch.spin[self.atoms[element]].double()

    @cached_property
    def field_radial(self) -> tuple[Tensor, Tensor]:
        """φ_k(r) of landau_field and its slope for each of `spins`, (P', K) each."""
        return self.term.field_basis(self.spins.r)

    @cached_property
    def field_place(self) -> Tensor:
        """(P',) index of (atom, neighbour's element) in `fields` for each of `spins`."""
        neighbour = self._neighbour[self.spins.chosen].clamp(min=0)
        return self.spins.centre * len(self.atoms) + neighbour

    @cached_property
    def fields(self) -> Tensor:
        """h_k = Σ_j φ_k(r_ij) S_j of the neighbours of each magnetic element, (A, elements · K, 3)."""
        n_atoms, number = len(self.batch.types), len(self.atoms)
        terms = self.field_radial[0].unsqueeze(-1) * self.spins.spin_neighbour.unsqueeze(-2)
        total = terms.new_zeros(n_atoms * number, *terms.shape[1:]).index_add(0, self.field_place, terms)
        return total.flatten(0, 1).view(n_atoms, number * total.shape[1], 3)
