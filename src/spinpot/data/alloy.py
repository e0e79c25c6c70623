"""The Hamiltonian of a three-element alloy of no real material: Fe and Co of different moments, and O."""

from spinpot.data.hamiltonian import exchange, landau, repulsion, total

ELEMENTS = ("Fe", "Co", "O")
FE, CO = [0], [1]
MOMENTS = {0: 2.2, 1: 1.6}
"""Equilibrium moment of an isolated atom of each magnetic element, μ_B."""
HAMILTONIAN = total(
    repulsion(20.0, 0.6),
    landau(MOMENTS, 0.1),
    exchange(FE, FE, 0.10, 1.2),
    exchange(CO, CO, 0.06, 1.4),
    exchange(FE, CO, -0.08, 1.3),
)
CUTOFF = 4.5
"""Cutoff of every interaction, Å."""
