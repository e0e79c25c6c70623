"""Finds energies stored with too low precision for their spread: float32, or few digits."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from spinpot.data.systems import System
from spinpot.looks.look import Look

MATTERS = 0.01
"""A spacing of the numbers above this fraction of the energies' standard deviation is reported."""
FEWEST = 5  # least distinct numbers from which a spacing is determined
EVEN = 0.01  # largest deviation from multiples of the spacing, relative to the spacing
SUSPICION = (
    "energies are stored too coarsely for their spread, and no model is better than that. Export them in "
    "float64 with all digits"
)


def precision_looks(systems: Sequence[System]) -> Iterator[tuple[System, Look]]:
    """A Look for each file of energies with a coarse spacing; the spread is that of its composition."""
    alike: dict[str, list[System]] = defaultdict(list)
    for system in systems:
        if system.energy is not None:
            alike[" ".join(sorted(system.elements))].append(system)
    for same in alike.values():
        spread = float(np.concatenate([system.energy for system in same if system.energy is not None]).std())
        for system in same:
            for where, dtype, energy in _by_file(system):
                if seen := _seen(where, dtype, energy, spread, system.n_atoms):
                    yield system, Look(SUSPICION, seen)


def spacing_of(values: np.ndarray) -> float:
    """The largest number of which all differences of the values (n,) are multiples; 0 if there is none.

    Numbers below a thousandth of their standard deviation are not searched.
    """
    known = np.unique(values)
    if len(known) < FEWEST:
        return 0.0
    # Decimal numbers deviate from the multiples by their rounding to float64.
    rounding = 4 * float(np.spacing(np.abs(known).max()))
    gaps = np.diff(known)
    gaps = gaps[gaps > rounding]
    floor = max(1e-3 * float(values.std()), rounding / EVEN)
    spacing = float(gaps.min(initial=np.inf))
    while floor < spacing < np.inf:
        rest = np.abs(gaps - np.round(gaps / spacing) * spacing)
        if rest.max() <= max(EVEN * spacing, rounding):
            return spacing
        spacing = float(rest[rest > max(EVEN * spacing, rounding)].min())
    return 0.0


def _by_file(system: System) -> Iterator[tuple[str, np.dtype, np.ndarray]]:
    """The place, the stored type and the energies of each file."""
    energy = np.asarray(system.energy)
    if system.stored is None or system.frame_ids is None:
        yield system.name, energy.dtype, energy
        return
    first = 0
    for part in system.stored.sets:
        own = (system.frame_ids >= first) & (system.frame_ids < first + part.frames)
        first += part.frames
        if own.any():
            header = part.arrays["energy"]
            yield header.where, header.dtype, energy[own]


def _seen(where: str, dtype: np.dtype, energy: np.ndarray, spread: float, n_atoms: int) -> str:
    """A line on the spacing; empty if it is fine enough."""
    largest = float(energy[np.abs(energy).argmax()])
    short = dtype.kind == "f" and dtype.itemsize < 8
    spacing = float(np.spacing(np.array(abs(largest), dtype=dtype))) if short else spacing_of(energy)
    if spacing <= MATTERS * spread or len(energy) < 2:
        return ""
    at = f"{largest:,.0f}".replace("-", "−")
    kind = f" is {dtype.name}: at {at} eV" if short else ":"
    return (
        f"{where}{kind} its numbers lie {_short(spacing)} eV apart, {_short(1000 * spacing / n_atoms)} "
        "meV/atom, "
        + (f"{_short(100 * spacing / spread)} % of their spread" if spread else "and all are equal")
    )


def _short(value: float) -> str:
    """0.0078, 1.2, 210."""
    return f"{value:.2g}" if value < 10 else f"{value:,.0f}"
