"""Sums the derivatives with respect to pair vectors to force, magnetic force and virial."""

from torch import Tensor

from spinpot.data.batch import Batch

Derivatives = tuple[Tensor, Tensor, Tensor]  # force (A, 3), magnetic force (A, 3), virial (F, 3, 3)


def scatter(gradient: Tensor, batch: Batch, eta: Tensor, between: Tensor) -> Derivatives:
    """Sum up g = ∂E/∂d, (P, 3), of the pairs with vectors d = R_j + η_j S_j − R_i.

    −∂E/∂R gets +g at i and −g at j, and −∂E/∂S gets −η_j g at j. Strain does not change spins: the virial
    uses the vector between the real atoms. eta: (P, 1), η_j; between: (P, 3), of between_atoms.
    """
    zeros = gradient.new_zeros(len(batch.types), 3)
    force = zeros.index_add(0, batch.pair_centre, gradient).index_add(
        0, batch.pair_neighbour, gradient, alpha=-1
    )
    force_mag = zeros.index_add(0, batch.pair_neighbour, eta * gradient, alpha=-1)
    per_pair = gradient.unsqueeze(-1) * between.unsqueeze(-2)
    virial = gradient.new_zeros(batch.n_frames, 3, 3).index_add(0, batch.pair_frame, per_pair, alpha=-1)
    return force, force_mag, virial


def between_atoms(batch: Batch, vector: Tensor, eta: Tensor, spin: Tensor) -> Tensor:
    """The vectors d − η_j S_j of all pairs, (P, 3). vector: d, (P, 3); eta: (P, 1); spin: (A, 3)."""
    return vector - eta * spin[batch.pair_neighbour]
