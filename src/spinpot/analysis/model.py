"""What a task asks of a model."""

from __future__ import annotations

from typing import Any, Protocol

from ase import Atoms


class Model(Protocol):
    """SpinCalculator, or another ASE calculator with the same properties, such as magnetic_forces."""

    def get_property(self, name: str, atoms: Atoms) -> Any:
        """A property of atoms with vectors as initial magnetic moments."""

    def reach(self, atoms: Atoms) -> float:
        """Å: how far apart two atoms can act on each other."""

    def tells_apart(self) -> float | None:
        """Å: half of the largest of the training cells' shortest lattice vectors; None if unknown.

        Atoms farther apart coincide with images of nearer ones in every frame that the model was trained on.
        """
