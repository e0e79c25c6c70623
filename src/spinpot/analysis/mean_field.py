"""The mean-field ordering temperature of exchange constants."""

import numpy as np
from ase import units

from spinpot.analysis.exchange_tensors import Exchange


def mean_field_temperature(found: Exchange) -> float:
    """The mean-field ordering temperature of classical spins, K: k T = λ/3, with λ of `largest_sum`.

    A value ≤ 0 means that no order with the period of the magnetic cell is stable.
    """
    return largest_sum(found) / (3.0 * units.kB)


def largest_sum(found: Exchange) -> float:
    """λ, eV: the largest eigenvalue of Σ_R J_ij(R) over the moments of the magnetic cell."""
    sums = np.zeros((len(found.cell),) * 2)
    np.add.at(sums, (found.i, found.j), found.isotropic)
    magnetic = np.flatnonzero(np.isfinite(found.own))
    sums = sums[np.ix_(magnetic, magnetic)]
    return float(np.linalg.eigvalsh(0.5 * (sums + sums.T))[-1])
