"""Makes any model even in the spins: E(R, S) = ½ [E_inner(R, S) + E_inner(R, −S)]."""

from dataclasses import fields, replace

import torch
from torch import Tensor

from spinpot.data.batch import Batch
from spinpot.models.derivatives import Derivatives
from spinpot.models.potential import Potential
from spinpot.models.wrapper import Wrapper


class TimeReversed(Wrapper):
    """The mean over S and −S: the inner model evaluates every frame and its spin-reversed copy."""

    scale: Tensor
    not_exported = (
        "this model was trained with model.spin.time_reversal=exact: its energy is a mean over S and −S, "
        "which deepmd-kit's formats cannot hold. Use it through spinpot.load or spinpot.ase; a model trained "
        "with model.spin.time_reversal=augment can be exported."
    )

    def __init__(self, inner: Potential) -> None:
        super().__init__(inner)
        eta = self.spec.geometry.virtual_scale
        scale = torch.tensor([*(0.0 for _ in eta), *eta], dtype=torch.float64)
        self.register_buffer("scale", scale, persistent=False)

    def derivatives(self, batch: Batch, differentiable: bool) -> Derivatives:
        """The mean over S and −S."""
        return mean_of_both(self.inner.derivatives(with_reversed(batch, self.scale), differentiable))

    def energies(self, batch: Batch) -> Tensor:
        """The mean over S and −S."""
        given, reversed_ = self.inner.energies(with_reversed(batch, self.scale)).chunk(2)
        return (given + reversed_) / 2.0


def with_reversed(batch: Batch, scale: Tensor) -> Batch:
    """The frames, followed by copies with all spins reversed; labels are not changed.

    Both have the same pairs, so the batch needs those of any spin direction (Geometry.any_direction).
    scale: (2T,), η of every neighbour type, Å/μ_B.
    """
    n_atoms, n_pairs = len(batch.types), len(batch.pair_type)
    across = 2.0 * scale[batch.pair_type].unsqueeze(-1) * batch.spin[batch.pair_neighbour]
    order = torch.argsort(batch.types.repeat(2), stable=True)
    place = torch.empty_like(order)
    place[order] = torch.arange(2 * n_atoms, device=order.device)
    return replace(
        batch,
        frame=torch.cat((batch.frame, batch.frame + batch.n_frames)),
        types=batch.types.repeat(2),
        spin=torch.cat((batch.spin, -batch.spin)),
        n_atoms=batch.n_atoms.repeat(2),
        atom_order=order,
        atom_place=place,
        type_sizes=[2 * size for size in batch.type_sizes],
        pair_neighbour=torch.cat((batch.pair_neighbour, batch.pair_neighbour + n_atoms)),
        pair_type=batch.pair_type.repeat(2),
        pair_vector=torch.cat((batch.pair_vector, batch.pair_vector - across)),
        pair_start=torch.cat((batch.pair_start, batch.pair_start[1:] + n_pairs)),
        neighbour_counts=batch.neighbour_counts.repeat(2, 1),
    )


def mean_of_both(found: Derivatives) -> Derivatives:
    """Average the results of with_reversed over frames and their copies; −∂E/∂S is odd in S."""
    means = {}
    for item in fields(Derivatives):
        values = getattr(found, item.name)
        given, reversed_ = values[: len(values) // 2], values[len(values) // 2 :]
        means[item.name] = (given - reversed_ if item.name == "force_mag" else given + reversed_) / 2.0
    return Derivatives(**means)
