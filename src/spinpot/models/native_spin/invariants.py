"""Computes the invariants of centres from their sums: channels, products, normalisation."""

from itertools import groupby

import torch
from torch import Tensor, nn

from spinpot.data.batch import Batch
from spinpot.models.native_spin.groups import ONE, Products
from spinpot.models.native_spin.spec import NativeSpinSpec
from spinpot.models.native_spin.sums import Radial, columns, neighbour_sums


class Invariants(nn.Module):
    """Normalised invariants z = (I − mean) · scale of every centre, (A, P).

    Buffers computed from the training frames, for T elements: moment_square (T,), the mean S², μ_B²; mixing
    (T, T K, M), the channels of all kinds, concatenated; mean (T, P); scale (T, P), strength/deviation, zero
    for an invariant that never changes. float64.

    Table of the products: coefficient (N,) and factors (N, 3) of each term, as indices of a centre's numbers;
    sum (N,), the index of the sum it belongs to; features (P,), the indices of the invariants.
    """

    magnetic: Tensor
    moment_square: Tensor
    mixing: Tensor
    mean: Tensor
    scale: Tensor
    coefficient: Tensor
    factors: Tensor
    sum: Tensor
    features: Tensor

    def __init__(self, spec: NativeSpinSpec) -> None:
        super().__init__()
        descriptor = spec.descriptor
        assert not isinstance(descriptor.closest, str)
        self.radial = Radial(descriptor.cutoff, descriptor.n_radial, descriptor.closest)
        self.channels = descriptor.numbers()
        self.products = spec.products
        self.elements, self.size = len(spec.type_map), len(self.products.features)
        self.register_buffer("magnetic", torch.tensor(spec.use_spin), persistent=False)
        mixed = self.elements * descriptor.n_radial, sum(self.channels.values())
        settled = {"moment_square": (), "mixing": mixed, "mean": (self.size,), "scale": (self.size,)}
        for name, shape in settled.items():
            self.register_buffer(name, torch.zeros(self.elements, *shape, dtype=torch.float64))
        for name, values in _table(self.products).items():
            self.register_buffer(name, values, persistent=False)
        # The ends of terms and sums of each level, which need only sums of earlier levels.
        self.steps = _steps(self.products)

    def moments(self, batch: Batch) -> Tensor:
        """Moments (A, 3), μ_B; zero for elements without spin."""
        return batch.spin.double() * self.magnetic[batch.types].unsqueeze(-1)

    def sums(self, batch: Batch, vector: Tensor, spin: Tensor) -> Tensor:
        """Sums over the neighbours, (A, T K, C).

        vector: (P, 3), Å, of the pairs; spin: (A, 3), as `moments`.
        """
        return neighbour_sums(
            self.radial,
            list(self.channels),
            (batch.pair_centre, batch.pair_type),
            (len(batch.types), self.elements),
            vector,
            spin[batch.pair_neighbour],
        )

    def given(self, sums: Tensor, spin: Tensor, element: int) -> Tensor:
        """The numbers of centres of one element: 1, the mean S², S and the channels, (n, …)."""
        n = len(sums)
        numbers = [spin.new_ones(n, 1), self.moment_square[element].expand(n, 1), spin]
        places, first = columns(list(self.channels)), 0
        for kind, count in self.channels.items():
            mixing = self.mixing[element][:, first : first + count]
            numbers.append(torch.einsum("akc,km->amc", sums[..., places[kind]], mixing).flatten(1))
            first += count
        return torch.cat(numbers, dim=1)

    def invariants(self, sums: Tensor, spin: Tensor, element: int) -> Tensor:
        """Invariants I, (n, P), of centres of one element."""
        numbers = self.given(sums, spin, element)
        begin = 0
        for end, size in self.steps:
            terms = numbers[:, self.factors[begin:end]].prod(-1) * self.coefficient[begin:end]
            places = self.sum[begin:end] - numbers.shape[1]
            numbers = torch.cat(
                (numbers, terms.new_zeros(len(terms), size).index_add(1, places, terms)), dim=1
            )
            begin = end
        return numbers[:, self.features]

    def normalised(self, batch: Batch, vector: Tensor, spin: Tensor) -> Tensor:
        """Normalised invariants z (A, P), of the atoms sorted by element. vector, spin: as for `sums`."""
        sums = self.sums(batch, vector, spin)
        return torch.cat(
            [
                (self.invariants(sums[atoms], spin[atoms], element) - self.mean[element])
                * self.scale[element]
                for element, atoms in enumerate(batch.atom_order.split(batch.type_sizes))
            ]
        )


def _table(products: Products) -> dict[str, Tensor]:
    flat = [(place, *term) for place, terms in enumerate(products.terms, products.given) for term in terms]
    padded = [(*factors, ONE, ONE)[:3] for _, _, factors in flat]
    return {
        "coefficient": torch.tensor([weight for _, weight, _ in flat], dtype=torch.float64),
        "factors": torch.tensor(padded).view(-1, 3),
        "sum": torch.tensor([place for place, *_ in flat], dtype=torch.int64),
        "features": torch.tensor(products.features),
    }


def _steps(products: Products) -> list[tuple[int, int]]:
    """For each level: the end of its terms, and its number of sums."""
    found, end = [], 0
    for _, level in groupby(zip(products.levels(), products.terms, strict=True), key=lambda pair: pair[0]):
        sizes = [len(terms) for _, terms in level]
        end += sum(sizes)
        found.append((end, len(sizes)))
    return found
