"""The mean and the deviation of the environment rows of the training frames."""

from collections.abc import Iterable

import torch
from torch import Tensor

from spinpot.data.batch import Batch
from spinpot.models.deepspin.descriptor import Descriptor
from spinpot.models.deepspin.environment import environment_rows

SMALLEST_DEVIATION = 0.01
UNSEEN_DEVIATION = 0.1  # of elements without training atoms, as in deepmd-kit


def environment_statistics(descriptor: Descriptor, batches: Iterable[Batch]) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the environment rows per centre element, (T, 4) each, float64.

    All N_sel slots count, empty ones as 0; x, y and z are pooled. Their mean is subtracted in dstd, but davg
    has zeros for them, so that the descriptor stays rotationally invariant.
    """
    settings, n_types = descriptor.settings, descriptor.n_types
    sums = torch.zeros(n_types, 4, dtype=torch.float64)
    squares = torch.zeros(n_types, 4, dtype=torch.float64)
    atoms = torch.zeros(n_types, dtype=torch.float64)
    for batch in batches:
        vector = batch.pair_vector
        rows = environment_rows(vector, settings.rcut_smth, settings.rcut, settings.env_protection)
        centre_type = batch.types[batch.pair_centre]
        sums.index_add_(0, centre_type, rows)
        squares.index_add_(0, centre_type, rows * rows)
        atoms += torch.tensor(batch.type_sizes)

    slots = (atoms * descriptor.n_sel).unsqueeze(-1)
    mean, square = sums / slots.clamp(min=1), squares / slots.clamp(min=1)
    radial = (square[:, :1] - mean[:, :1] ** 2).clamp(min=0).sqrt()
    angular_mean, angular_square = mean[:, 1:].mean(1, keepdim=True), square[:, 1:].mean(1, keepdim=True)
    angular = (angular_square - angular_mean**2).clamp(min=0).sqrt()
    davg = torch.cat((mean[:, :1], torch.zeros(n_types, 3, dtype=torch.float64)), dim=1)
    dstd = torch.cat((radial, angular.expand(-1, 3)), dim=1).clamp(min=SMALLEST_DEVIATION)
    return davg, torch.where(slots > 0, dstd, UNSEEN_DEVIATION)
