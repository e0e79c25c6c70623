"""Whether second derivatives at a magnetic state describe a stable and stationary state."""

import numpy as np

from spinpot.analysis.exchange_tensors import Exchange
from spinpot.analysis.moments import fields_across
from spinpot.ase import SpinCalculator
from spinpot.core.vectors import largest

LARGE_TURN = 0.1
"""rad. A state is not stationary if a torque divided by the largest curvature exceeds this angle."""
UNSTABLE = -1e-6  # eV; curvatures below it are negative by more than rounding


def largest_torque(model: SpinCalculator, found: Exchange) -> float:
    """The largest |S × ∂E/∂S| of the magnetic cell, eV."""
    cell = found.cell.copy()
    cell.calc = model
    length = np.linalg.norm(cell.get_initial_magnetic_moments(), axis=1)
    return largest(length[:, None] * fields_across(cell))


def doubts(found: Exchange, torque: float) -> list[str]:
    """Reasons why the state does not have exchange constants. torque: see largest_torque."""
    unstable = np.flatnonzero(found.own < UNSTABLE)
    if len(unstable):
        return [
            f"The state is not stable: rotating the moment of atom {unstable[0]} alone lowers the energy. "
            "Exchange constants, the ordering temperature and spin waves describe a stable state; give "
            "another one."
        ]
    if torque > LARGE_TURN * float(np.nanmax(np.abs(found.own))):
        return [
            f"The state is not stationary: its torques |S × ∂E/∂S| are up to {1000 * torque:.3g} meV. Relax "
            "the moments first (task=relax), or give another state."
        ]
    return []
