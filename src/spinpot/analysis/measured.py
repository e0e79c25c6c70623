"""Measured exchange constants of NiO, for comparison with the spin waves of a model."""

from dataclasses import replace

import numpy as np

from spinpot.analysis.exchange_tensors import Exchange
from spinpot.analysis.result import shown
from spinpot.analysis.shells import shells_of
from spinpot.data import nio

HIGHEST = 117.0
"""meV, the highest spin-wave energy: M. T. Hutchings and E. J. Samuelsen, Phys. Rev. B 6, 3447 (1972)."""
LABEL = "J₁ and J₂ of neutron scattering"
SAID = (
    "For comparison: spin waves of the constants that Hutchings and Samuelsen (Phys. Rev. B 6, 3447, 1972) "
    f"measured by neutron scattering, {shown(1000 * nio.J1)} meV between nearest and "
    f"{shown(1000 * nio.J2)} meV between next-nearest neighbours (each pair counted once, S = 1), and the "
    f"highest energy that they measured, about {HIGHEST:g} meV. With the same J_ij of unit vectors, energies "
    "are proportional to 1/S; use task.magnons.spin={Ni:1.0} to compare at the same S."
)


def measured_nio(exchange: Exchange) -> tuple[Exchange, np.ndarray] | None:
    """The same pairs with the measured constants, and the S (n,) of the measurement.

    None unless the material is rock-salt NiO and the pairs include the first two shells.
    """
    symbols = exchange.cell.get_chemical_symbols()
    if set(symbols) != {"Ni", "O"} or symbols.count("Ni") != symbols.count("O"):
        return None
    first, *others = shells_of(exchange)
    if not others or (round(first.neighbours), round(others[0].neighbours)) != (12, 6):
        return None
    second = others[0]
    if abs(second.distance / first.distance - np.sqrt(2.0)) > 0.02:
        return None
    tensor = np.zeros_like(exchange.tensor)
    tensor[first.pairs], tensor[second.pairs] = -nio.J1 * np.eye(3), -nio.J2 * np.eye(3)
    magnetic = exchange.cell.get_initial_magnetic_moments().any(axis=1)
    return replace(exchange, tensor=tensor, full=True), np.where(magnetic, 1.0, 0.0)
