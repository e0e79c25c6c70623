"""The quantities that are compared with labels: their names, units and parts.

Loss terms, prefactors, errors, columns of metrics.csv, tables and pictures use them. spinpot.core.conventions
explains the arrays.
"""

import math
from dataclasses import dataclass, replace

from spinpot.core.conventions import PER_FRAME, SHAPES

SCALED = "_scaled"
"""Suffix of the names of errors of c·(−∂E/∂S), with c of loss.label_scale_fm; others are of −∂E/∂S."""


@dataclass(frozen=True)
class Quantity:
    """A quantity and its errors, which are per atom for energy and virial and per component for forces.

    name: short name, that of the loss term. label: the array that is compared. symbol: short, for a terminal.
    words: its name in tables, where parts are listed below the whole. unit: of the errors. whole: name of the
    quantity of which this is a part. part: its index in the result of `split_along`. share: weight of its
    squared rmse in the squared rmse of the whole. carrier: which atoms have this quantity.
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
        """The unit of displayed errors, a thousandth of the computed ones."""
        return f"m{self.unit}"

    @property
    def per_atom(self) -> bool:
        """Whether it is one value per frame, whose error is divided by the number of atoms."""
        return self.label in PER_FRAME

    @property
    def components(self) -> int:
        """Number of components of the array per frame or atom."""
        return math.prod(SHAPES[self.label])

    @property
    def title(self) -> str:
        """Its name outside tables; a part includes the name of the whole."""
        return f"{QUANTITIES[self.whole].words}, {self.words}" if self.whole else self.words

    @property
    def plural(self) -> str:
        """The plural: `energies`, `magnetic forces`."""
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
    # One number per atom, while the whole has three components.
    replace(_part, name="fm_longitudinal", symbol="Fm∥", words="longitudinal", part=1, share=1.0 / 3.0),
)
"""The transverse and the longitudinal part of the magnetic force."""

WHOLE = (ENERGY, FORCE, FORCE_MAG, VIRIAL)
MAIN = (ENERGY, FORCE, FORCE_MAG)
"""The quantities shown where there is little space."""
QUANTITIES = {quantity.name: quantity for quantity in (ENERGY, FORCE, FORCE_MAG, *PARTS, VIRIAL)}
"""Quantities by name; each can have a term in the loss."""
SCALED_QUANTITIES = tuple(
    replace(
        quantity,
        name=quantity.name + SCALED,
        words=f"scaled {quantity.words}" if quantity.whole else "scaled",
        whole=FORCE_MAG.name,
    )
    for quantity in (FORCE_MAG, *PARTS)
)
"""Additional quantities of runs with loss.label_scale_fm."""
ERRORS = {quantity.name: quantity for quantity in (*MAIN, *PARTS, *SCALED_QUANTITIES, VIRIAL)}
"""All quantities with errors, by name, in the order of tables."""
OF_LABEL = {quantity.label: quantity for quantity in WHOLE}
"""Quantities by the name of the array."""
