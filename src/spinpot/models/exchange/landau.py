"""Landau terms: the energy of a moment's length, alone and in the field of its neighbours."""

import torch
from torch import Tensor

from spinpot.models.derivatives import Derivatives, total
from spinpot.models.exchange.structure import Structure


def on_site(structure: Structure, coefficients: Tensor) -> Derivatives:
    """Σ [c_1 (S² − S_0²) + c_2 (S² − S_0²)²]; coefficients (elements, 2)."""
    energy, by_spin = [], []
    for element, x in enumerate(structure.excess):
        c_1, c_2 = coefficients[element]
        energy.append(c_1 * x + c_2 * x.square())
        by_spin.append(2.0 * (c_1 + 2.0 * c_2 * x).unsqueeze(-1) * structure.spin(element))
    return _of_atoms(structure, energy, by_spin)


def in_field(structure: Structure, linear: Tensor, along: Tensor, across: Tensor) -> Derivatives:
    """Σ (S² − S_0²) [Σ_k a_k S·h_k + Σ_kl b_kl (S·h_k)(S·h_l) + Σ_kl c_kl h_k·h_l], k <= l.

    linear: (elements, fields); along, across: (elements, fields (fields + 1)/2).
    """
    pairs = structure.spins
    energy, by_spin = [], []
    by_fields = torch.zeros_like(structure.fields)
    for element, (atoms, x) in enumerate(zip(structure.atoms, structure.excess, strict=True)):
        S, h = structure.spin(element), structure.fields[atoms]
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
    value, slope = structure.field_radial
    by_field = by_fields.reshape(-1, value.shape[1], 3)[structure.field_place]
    by_basis = (by_field * pairs.spin_neighbour.unsqueeze(1)).sum(-1)
    by_vector = (by_basis * slope).sum(-1, keepdim=True) * pairs.direction
    by_neighbour = (by_field * value.unsqueeze(-1)).sum(1)
    from_fields = pairs.add_up(torch.zeros_like(pairs.r), by_vector, None, by_neighbour)
    return total([_of_atoms(structure, energy, by_spin), from_fields])


def symmetric(upper: Tensor, n: int) -> Tensor:
    """The matrix C (n, n) of Σ_{k<=l} upper_kl x_k x_l = xᵀCx."""
    rows, columns = torch.triu_indices(n, n, device=upper.device)
    half = upper.new_zeros(n, n).index_put((rows, columns), 0.5 * upper)
    return half + half.T


def _of_atoms(structure: Structure, energy: list[Tensor], by_spin: list[Tensor]) -> Derivatives:
    """Energies and derivatives of each magnetic element's atoms, as arrays over all atoms of the batch."""
    batch = structure.batch
    zeros = batch.spin.new_zeros(len(batch.types), 3, dtype=torch.float64)
    atoms = torch.cat(structure.atoms)
    return Derivatives(
        atom_energy=zeros[:, 0].index_add(0, atoms, torch.cat(energy)),
        force=zeros,
        force_mag=zeros.index_add(0, atoms, -torch.cat(by_spin)),
        virial=zeros.new_zeros(batch.n_frames, 3, 3),
    )
