"""Exchange constants of a potential."""

from __future__ import annotations

from dataclasses import dataclass

from ase import Atoms
from ase.calculators.calculator import Calculator

from spinpot.analysis.result import Result, Table


@dataclass(frozen=True)
class Settings:
    """Keys of configs/task/exchange.yaml."""

    cutoff: float | None = None
    full_tensor: bool = False
    step: float = 0.02
    tolerance: float = 0.01


def exchange(model: Calculator, atoms: Atoms, settings: Settings) -> Result:
    """J_ij of the pairs within a cutoff."""
    atoms.calc = model
    energy = atoms.get_potential_energy()
    table = Table("Energy", ("structure", "E (eV)"), [("given", energy)])
    return Result("Exchange", tables=[table], numbers={"energy": energy})
