"""Every quantity that is compared with labels, once: its names, unit and parts.

Loss terms, prefactors, errors, columns of metrics.csv, tables and pictures take them from here; what the
arrays mean stands in spinpot.core.conventions.
"""

import math
from dataclasses import dataclass, replace

from spinpot.core.conventions import PER_FRAME, SHAPES

SCALED = "_scaled"
"""Ends the names of errors of c·(−∂E/∂S) with the c of loss.label_scale_fm; others are of −∂E/∂S."""


@dataclass(frozen=True)
class Quantity:
    """A quantity and its errors, which are per atom for energy and virial and per component for forces.

    name: of the loss term, short. label: the array that is compared. symbol: short, for a terminal. words:
    in a table, where parts stand below the whole. unit: of the errors. carrier: the atoms that count.
    whole: the name of the quantity this is a part of. part: its place in what `split_along` gives. share: of
    the square of its rmse in the square of the whole's.
    """

    name: str
    label: str
    symbol: str
    words: str
    unit: str
    whole: str = ""
    part: int | None = None
    share: float = 1.0
    carrier: str = ""

    @property
    def rmse(self) -> str:
        """The name of its root mean square error."""
        return f"rmse_{self.name}"

    @property
    def mae(self) -> str:
        """The name of its mean absolute error."""
        return f"mae_{self.name}"

    @property
    def pref(self) -> str:
        """The name of its prefactor in the loss."""
        return f"pref_{self.name}"

    @property
    def meV(self) -> str:  # noqa: N802
        """The unit of its errors as they are shown, a thousandth of that in which they are computed."""
        return f"m{self.unit}"

    @property
    def per_atom(self) -> bool:
        """Whether a frame has one, whose error is divided by the number of atoms."""
        return self.label in PER_FRAME

    @property
    def components(self) -> int:
        """Of the array, for each frame or atom."""
        return math.prod(SHAPES[self.label])

    @property
    def title(self) -> str:
        """The words where it stands alone."""
        return f"{QUANTITIES[self.whole].words}, {self.words}" if self.whole else self.words

    @property
    def plural(self) -> str:
        """Several of them: `energies`, `magnetic forces`."""
        return f"{self.words[:-1]}ies" if self.words.endswith("y") else f"{self.words}s"

    def shown(self, error: float) -> str:
        """An error with symbol and unit: `Fm 3.214 meV/μ_B`."""
        return f"{self.symbol} {1000 * error:.3f} {self.meV}"


ENERGY = Quantity("e", "energy", "E", "energy", "eV/atom")
FORCE = Quantity("fr", "force", "F", "force", "eV/Å")
FORCE_MAG = Quantity(
    "fm", "force_mag", "Fm", "magnetic force", "eV/μ_B", carrier="an atom of a magnetic element"
)
VIRIAL = Quantity("v", "virial", "V", "virial", "eV/atom")

_part = replace(FORCE_MAG, whole=FORCE_MAG.name, carrier="an atom with a moment")
PARTS = (
    replace(_part, name="fm_transverse", symbol="Fm⊥", words="transverse", part=0),
    # One number for each atom, where the whole has three components.
    replace(_part, name="fm_longitudinal", symbol="Fm∥", words="longitudinal", part=1, share=1.0 / 3.0),
)
"""The magnetic force across the moment and along it."""

WHOLE = (ENERGY, FORCE, FORCE_MAG, VIRIAL)
MAIN = (ENERGY, FORCE, FORCE_MAG)
"""What is shown where there is little room."""
QUANTITIES = {quantity.name: quantity for quantity in (ENERGY, FORCE, FORCE_MAG, *PARTS, VIRIAL)}
"""By name; each can have a term in the loss."""
SCALED_QUANTITIES = tuple(
    replace(
        quantity,
        name=quantity.name + SCALED,
        words=f"scaled {quantity.words}" if quantity.whole else "scaled",
        whole=FORCE_MAG.name,
    )
    for quantity in (FORCE_MAG, *PARTS)
)
"""Has errors beside them with loss.label_scale_fm."""
ERRORS = {quantity.name: quantity for quantity in (*MAIN, *PARTS, *SCALED_QUANTITIES, VIRIAL)}
"""All that has errors, by name, in the order of tables."""
OF_LABEL = {quantity.label: quantity for quantity in WHOLE}
"""By the name of the array."""
