"""The prediction of each weight of the linear part alone: the rows of its least squares."""

from dataclasses import dataclass

import torch
from torch import Tensor

from spinpot import kernels
from spinpot.data.batch import Batch
from spinpot.models.native_spin.compiled import compiled_rows
from spinpot.models.native_spin.groups import FIRST, KINDS, SPIN
from spinpot.models.native_spin.invariants import Invariants
from spinpot.models.native_spin.sums import neighbour_sums

ATOMS_AT_ONCE = 16
"""Centres whose derivatives are in memory at once."""


@dataclass(frozen=True)
class Rows:
    """Predictions for unit weights, with ε = 1 and without nets: column t·P + p belongs to w_tp.

    energy (F, T P); force, force_mag (A, 3, T P); virial (F, 3, 3, T P). Units as in Prediction: eV, eV/Å,
    eV/μ_B, eV.
    """

    energy: Tensor
    force: Tensor
    force_mag: Tensor
    virial: Tensor


def design(invariants: Invariants, batch: Batch) -> Rows:
    """The rows of a batch."""
    if kernels.library_for(invariants.mean) is not None:
        return Rows(*compiled_rows(invariants, batch))
    with torch.no_grad():
        vector, spin = batch.pair_vector.double(), invariants.moments(batch)
        given = vector, spin, invariants.sums(batch, vector, spin)
        blocks = [
            _of_element(invariants, batch, *given, element, atoms)
            for element, atoms in enumerate(batch.atom_order.split(batch.type_sizes))
        ]
    return Rows(*(torch.cat(parts, dim=-1) for parts in zip(*blocks, strict=True)))


def _of_element(
    invariants: Invariants,
    batch: Batch,
    vector: Tensor,
    spin: Tensor,
    sums: Tensor,
    element: int,
    atoms: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The columns of the weights of one element, from the centres of that element.

    vector: (P, 3), Å, of the pairs; spin: (A, 3), μ_B; sums: as Invariants.sums.
    """
    size, frames = invariants.size, batch.n_frames
    energy, virial = spin.new_zeros(frames, size), spin.new_zeros(frames, 9, size)
    force, force_mag = (spin.new_zeros(len(spin), 3, size) for _ in range(2))
    for centres in atoms.split(ATOMS_AT_ONCE):
        z, by_sums, by_spin = _by_sums(invariants, sums[centres], spin[centres], element)
        pairs, slots = _pairs_of(batch, centres)
        neighbour, own = batch.pair_neighbour[pairs], vector[pairs]
        made = _contracted(by_sums, _tangents(invariants, own, spin[neighbour]), slots)
        by_vector, by_neighbour = made.split(3, dim=1)
        of_centre = _added(slots // invariants.elements, by_vector, len(centres))
        strain = (by_vector.unsqueeze(2) * own.unsqueeze(1).unsqueeze(-1)).flatten(1, 2)
        near, place = neighbour.unique(return_inverse=True)
        force[near] -= _added(place, by_vector, len(near))
        force[centres] += of_centre
        force_mag[near] -= _added(place, by_neighbour, len(near))
        force_mag[centres] -= by_spin
        energy += _added(batch.frame[centres], z, frames)
        virial -= _added(batch.pair_frame[pairs], strain, frames)
    force_mag *= invariants.magnetic[batch.types].view(-1, 1, 1)
    return energy, force, force_mag, virial.view(frames, 3, 3, size)


def _added(to: Tensor, values: Tensor, size: int, weight: Tensor | None = None) -> Tensor:
    """Sum the values (n, …) by index, (size, …): as index_add, but fast for long rows."""
    each = torch.stack((to, torch.arange(len(to), device=to.device)))
    weight = values.new_ones(len(to)) if weight is None else weight
    matrix = torch.sparse_coo_tensor(each, weight, (size, len(to)), check_invariants=False)
    added: Tensor = torch.sparse.mm(matrix, values.flatten(1))
    return added.view(size, *values.shape[1:])


def _by_sums(
    invariants: Invariants, sums: Tensor, spin: Tensor, element: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Invariants z (n, P) of an element's centres; derivatives by sums (n T, P, K C), moments (n, 3, P)."""
    found, by_numbers = _products(invariants, invariants.given(sums, spin, element))
    scale = invariants.scale[element]
    by_numbers = by_numbers * scale.unsqueeze(-1)
    by_channels, first, parts = by_numbers[..., FIRST:], 0, []
    for kind, count in invariants.channels.items():
        size, mixing = KINDS[kind].size, invariants.mixing[element][:, first : first + count]
        own, by_channels = by_channels.split((count * size, by_channels.shape[-1] - count * size), dim=-1)
        parts.append(torch.einsum("npmc,km->nkpc", own.unflatten(-1, (count, size)), mixing))
        first += count
    of_types = torch.cat(parts, dim=-1).unflatten(1, (invariants.elements, -1))
    by_sums = of_types.transpose(2, 3).flatten(3).flatten(0, 1)
    by_spin = by_numbers[..., SPIN].transpose(1, 2)
    return (found - invariants.mean[element]) * scale, by_sums, by_spin


def _products(invariants: Invariants, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Invariants (n, P) of centres with numbers (n, G), and their derivatives by the numbers, (n, P, G)."""
    # The index dimension comes first, so that sums are over rows.
    numbers, begin = numbers.T, 0
    slopes = torch.eye(len(numbers)).to(numbers).unsqueeze(1).expand(-1, numbers.shape[1], -1)
    for end, size in invariants.steps:
        a, b, c = invariants.factors[begin:end].unbind(-1)
        x, y, z = numbers[a], numbers[b], numbers[c]
        parts = ((y * z, a), (x * z, b), (x * y, c))
        by_given = torch.stack([others.unsqueeze(-1) * slopes[place] for others, place in parts]).sum(0)
        to, weight = invariants.sum[begin:end] - len(numbers), invariants.coefficient[begin:end]
        numbers = torch.cat((numbers, _added(to, x * y * z, size, weight)))
        slopes = torch.cat((slopes, _added(to, by_given, size, weight)))
        begin = end
    return numbers[invariants.features].T, slopes[invariants.features].transpose(0, 1)


def _pairs_of(batch: Batch, centres: Tensor) -> tuple[Tensor, Tensor]:
    """The pairs of some centres (p,), and the slot (centre, neighbour's element) of each."""
    place = torch.full_like(batch.types, -1)
    place[centres] = torch.arange(len(centres), device=centres.device)
    of_pairs = place[batch.pair_centre]
    pairs = (of_pairs >= 0).nonzero().squeeze(-1)
    return pairs, of_pairs[pairs] * len(batch.type_sizes) + batch.pair_type[pairs]


def _tangents(invariants: Invariants, vector: Tensor, spin: Tensor) -> Tensor:
    """Derivatives of each pair's part of the sums by pair vector and neighbour's moment, (p, K C, 6)."""
    each = torch.arange(len(vector), device=vector.device), torch.zeros_like(vector[:, 0], dtype=torch.int64)

    def added(vector: Tensor, spin: Tensor) -> Tensor:
        shape = len(vector), 1
        return neighbour_sums(invariants.radial, list(invariants.channels), each, shape, vector, spin)

    def along(unit: Tensor) -> Tensor:
        ways = unit[:3].expand_as(vector), unit[3:].expand_as(spin)
        found: Tensor = torch.func.jvp(added, (vector, spin), ways)[1]
        return found

    units = torch.eye(6, dtype=vector.dtype, device=vector.device)
    return torch.stack([along(unit) for unit in units], dim=-1).flatten(1, 2)


def _contracted(by_sums: Tensor, tangents: Tensor, slots: Tensor) -> Tensor:
    """Contract each pair's tangents (p, K C, 6) with the derivatives (n T, P, K C) of its slot: (p, 6, P).

    Slots are padded to the size of the fullest one, so that the derivatives are not copied for each pair.
    """
    number, order = slots.bincount(minlength=len(by_sums)), slots.argsort(stable=True)
    first = number.cumsum(0) - number
    place = torch.empty_like(slots)
    place[order] = torch.arange(len(slots), device=slots.device) - first[slots[order]]
    most = int(number.max()) if len(slots) else 0
    padded = tangents.new_zeros(len(by_sums), most, 6, tangents.shape[1])
    padded[slots, place] = tangents.transpose(1, 2)
    made = padded.flatten(1, 2) @ by_sums.transpose(1, 2)
    return made.view(len(by_sums), most, 6, -1)[slots, place]
