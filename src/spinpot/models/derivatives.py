"""The result of every part of a potential: energies of atoms and their derivatives."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from torch import Tensor


@dataclass(frozen=True)
class Derivatives:
    """Energies of atoms (A,), eV; force, force_mag (A, 3) and virial (F, 3, 3), as in core.conventions."""

    atom_energy: Tensor
    force: Tensor
    force_mag: Tensor
    virial: Tensor


def total(parts: Sequence[Derivatives]) -> Derivatives:
    """The sum of the parts."""
    names = (item.name for item in fields(Derivatives))
    return Derivatives(**{name: sum(getattr(part, name) for part in parts) for name in names})
