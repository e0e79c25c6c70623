"""The energy of a moment's length, in the field of its neighbours' moments."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from spinpot.data.batch import Batch
from spinpot.models.derivatives import Derivatives, total
from spinpot.models.exchange.pairs import RadialBasis, SpinPairs


@dataclass(frozen=True)
class Moments:
    """The magnetic atoms of a batch.

    atoms: for each magnetic element its atoms; excess: for each S² − S_0², (n,), μ_B².
    pairs: between magnetic atoms; place: (P',) the neighbour's element among the magnetic ones, of which
    there are as many as entries of `atoms`. basis: φ_k of the fields.
    """

    batch: Batch
    pairs: SpinPairs
    basis: RadialBasis
    place: Tensor
    atoms: list[Tensor]
    excess: list[Tensor]

    @cached_property
    def radial(self) -> tuple[Tensor, Tensor]:
        """φ_k(r) of the pairs and its slope, (P', K) each."""
        return self.basis(self.pairs.r)

    @cached_property
    def fields(self) -> Tensor:
        """h_k = Σ_j φ_k(r_ij) S_j of the neighbours of each magnetic element, (A, elements · K, 3)."""
        pairs, number = self.pairs, len(self.atoms)
        terms = self.radial[0].unsqueeze(-1) * pairs.spin_neighbour.unsqueeze(-2)
        shape = (len(self.batch.types) * number, *terms.shape[1:])
        total = terms.new_zeros(shape).index_add(0, pairs.centre * number + self.place, terms)
        return total.flatten(0, 1).view(len(self.batch.types), number * total.shape[1], 3)

    def spin(self, element: int) -> Tensor:
        """Moments of the atoms of an element, (n, 3)."""
        return self.batch.spin[self.atoms[element]].double()


def on_site(moments: Moments, coefficients: Tensor) -> Derivatives:
    """Σ [c_1 (S² − S_0²) + c_2 (S² − S_0²)²]; coefficients (elements, 2)."""
    energy, by_spin = [], []
    for element, x in enumerate(moments.excess):
        c_1, c_2 = coefficients[element]
        energy.append(c_1 * x + c_2 * x.square())
        by_spin.append(2.0 * (c_1 + 2.0 * c_2 * x).unsqueeze(-1) * moments.spin(element))
    return _of_atoms(moments, energy, by_spin)


def in_field(moments: Moments, linear: Tensor, along: Tensor, across: Tensor) -> Derivatives:
    """Σ (S² − S_0²) [Σ_k a_k S·h_k + Σ_kl b_kl (S·h_k)(S·h_l) + Σ_kl c_kl h_k·h_l], k <= l.

    linear: (elements, fields); along, across: (elements, fields (fields + 1)/2).
    """
    pairs = moments.pairs
    energy, by_spin = [], []
    by_fields = torch.zeros_like(moments.fields)
    for element, (atoms, x) in enumerate(zip(moments.atoms, moments.excess, strict=True)):
        S, h = moments.spin(element), moments.fields[atoms]
        n = h.shape[1]
        projected = (h * S.unsqueeze(1)).sum(-1)
        b, c = symmetric(along[element], n), symmetric(across[element], n)
        by_projected = projected @ b
        pulled = c @ h
        bracket = (projected * (linear[element] + by_projected)).sum(-1) + (pulled * h).sum((-2, -1))
        by_projected = (linear[element] + 2.0 * by_projected).unsqueeze(-1)
        energy.append(x * bracket)
        x = x.unsqueeze(-1)
        by_spin.append(2.0 * bracket.unsqueeze(-1) * S + x * (by_projected * h).sum(1))
        of_element = x.unsqueeze(-1) * (by_projected * S.unsqueeze(1) + 2.0 * pulled)
        by_fields = by_fields.index_add(0, atoms, of_element)
    value, slope = moments.radial
    by_field = by_fields.reshape(-1, value.shape[1], 3)[pairs.centre * len(moments.atoms) + moments.place]
    by_basis = (by_field * pairs.spin_neighbour.unsqueeze(1)).sum(-1)
    by_vector = (by_basis * slope).sum(-1, keepdim=True) * pairs.direction
    by_neighbour = (by_field * value.unsqueeze(-1)).sum(1)
    from_fields = pairs.add_up(torch.zeros_like(pairs.r), by_vector, None, by_neighbour)
    return total([_of_atoms(moments, energy, by_spin), from_fields])


def symmetric(upper: Tensor, n: int) -> Tensor:
    """The matrix C (n, n) of Σ_{k<=l} upper_kl x_k x_l = xᵀCx."""
    rows, columns = torch.triu_indices(n, n, device=upper.device)
    where = torch.zeros(n, n, dtype=torch.int64, device=upper.device)
    where[rows, columns] = torch.arange(len(rows), device=upper.device)
    half = 0.5 * upper[torch.maximum(where, where.T)]
    return half * (1.0 + torch.eye(n, dtype=upper.dtype, device=upper.device))


def _of_atoms(moments: Moments, energy: list[Tensor], by_spin: list[Tensor]) -> Derivatives:
    """Energies and derivatives of the atoms of each magnetic element, laid out over the batch."""
    batch = moments.batch
    zeros = batch.spin.new_zeros(len(batch.types), 3, dtype=torch.float64)
    atoms = torch.cat(moments.atoms)
    return Derivatives(
        atom_energy=zeros[:, 0].index_add(0, atoms, torch.cat(energy)),
        force=zeros,
        force_mag=zeros.index_add(0, atoms, -torch.cat(by_spin)),
        virial=zeros.new_zeros(batch.n_frames, 3, 3),
    )
