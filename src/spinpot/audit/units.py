"""Guesses wrong units from the factors of the labels.

Energies in units of e and a label in units of u give the factor e/u: 27.2 for all labels if energies are in
Hartree, 1/51.4 for forces in Hartree/Bohr. A guess is a set of units that explains all factors together.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from ase.units import Bohr, GPa, Hartree, Rydberg, kcal, kJ, mol

from spinpot.audit.factors import MULTIPLE, severity
from spinpot.audit.work import Factor, Work
from spinpot.data.systems import System

MOST = 3  # of more guesses that explain the factors equally well, none is printed
TESLA = 5.7883818e-5  # eV/μ_B
ENERGIES = {
    "Hartree": Hartree,
    "Rydberg": Rydberg,
    "meV": 1e-3,
    "kcal/mol": kcal / mol,
    "kJ/mol": kJ / mol,
}
ATOMIC = ("Hartree", "Rydberg")
UNEXPLAINED = "unexplained"  # family of a label that fits no unit
PRESSURES = {"eV/Å³": 1.0, "GPa": GPa, "kbar": 0.1 * GPa} | {
    f"{e}/Bohr³": ENERGIES[e] / Bohr**3 for e in ATOMIC
}
WORDS = {
    "energy": "energies",
    "spin": "moments",
    "force": "forces",
    "force_mag": "magnetic forces",
    "virial": "virial",
}


@dataclass(frozen=True)
class Unit:
    """A unit of an array: size times spinpot's own unit.

    family: its unit of energy, or another name; empty for spinpot's own unit. pressure: for stresses in place
    of the virial, the size of the unit in eV/Å³. rare: no code writes it.
    """

    array: str
    name: str
    size: float
    family: str = ""
    pressure: float | None = None
    rare: bool = False


Guess = tuple[Unit, ...]
"""The units of the energies, the moments, and each label with a factor, in this order."""


def guesses(system: System, work: Work) -> dict[str, set[str]]:
    """The simplest sets of units that explain the factors, in words, and the labels that each explains.

    Empty if spinpot's own units fit, if no set fits, or if more than MOST sets are equally simple.
    """
    factors: dict[str, list[Factor]] = {}
    for label, factor in work.factors.items():
        if factor.value is not None:
            factors.setdefault(label.partition("/")[0], []).append(factor)
    wrong = sum(not _fits(own, work, 1.0) for own in factors.values())
    found = list(_explaining(system, work, factors))
    fewest = min(map(_mistakes, found), default=0)
    simplest = [guess for guess in found if _mistakes(guess) == fewest]
    if fewest > wrong + 1 or len(simplest) > MOST or not all(any(map(_named, guess)) for guess in simplest):
        return {}
    negative = {array for array, own in factors.items() if _sign(own) < 0}
    return {
        ", ".join(_in_words(unit, unit.array in negative) for unit in guess if _named(unit)): {
            unit.array for unit in guess if unit.family != UNEXPLAINED
        }
        for guess in simplest
    }


def _explaining(system: System, work: Work, factors: Mapping[str, list[Factor]]) -> Iterator[Guess]:
    """All guesses in which each factor is the ratio of its units, whatever its sign.

    With energies and moments in spinpot's units, a label near 1 that fits no unit is left unexplained.
    """
    tried = _label_units(system)
    arrays = [array for array in tried if array in factors]
    for energy, spin in product(_energy_units(system), SPINS):
        fitting = []
        for array in arrays:
            own, expected = factors[array], energy.size / (spin.size if array == "force_mag" else 1.0)
            units = [unit for unit in tried[array] if _fits(own, work, expected / unit.size)]
            if not units and not energy.family and not spin.family and _multiple(own):
                units = [Unit(array, "", 1.0, UNEXPLAINED, rare=True)]
            fitting.append(units)
        yield from ((energy, spin, *labels) for labels in product(*fitting))


def _fits(own: Sequence[Factor], work: Work, ratio: float) -> bool:
    """Whether all factors of an array have the same sign and this absolute value."""
    unit = _sign(own) * ratio
    scaled = (Factor((one.value or 0.0) / unit, (one.error or 0.0) / ratio, one.work) for one in own)
    return all(severity(one, work.frames) != "wrong" for one in scaled)


def _sign(own: Sequence[Factor]) -> float:
    return 1.0 if (own[0].value or 0.0) > 0 else -1.0


def _multiple(own: Sequence[Factor]) -> bool:
    return all(MULTIPLE[0] < (one.value or 0.0) < MULTIPLE[1] for one in own)


def _mistakes(guess: Guess) -> int:
    """The number of arrays in other units, rare ones twice; one if all are in the units of one code."""
    energy, spin, *labels = guess
    if energy.family and all(unit.family == energy.family for unit in labels):
        return 1 + bool(spin.family)
    return sum(bool(unit.family) + unit.rare for unit in guess)


def _named(unit: Unit) -> bool:
    """Whether it is a unit other than spinpot's own."""
    return bool(unit.family and unit.name)


def _in_words(unit: Unit, negative: bool) -> str:
    """A unit, and how to convert the array."""
    opposite, sign = (", with the opposite sign", "−") if negative else ("", "")
    if unit.pressure is not None:
        how = f"virial = {sign}volume · stress · {unit.pressure:.6g}"
        return f"stress in {unit.name} instead of the virial ({how})"
    how = f"multiply {unit.array} by {sign}{unit.size:.6g}"
    return f"{WORDS[unit.array]} in {unit.name}{opposite} ({how})"


SPINS = (Unit("spin", "μ_B", 1.0), Unit("spin", "ħ", 2.0, "ħ"))


def _energy_units(system: System) -> Iterator[Unit]:
    yield Unit("energy", "eV", 1.0)
    yield Unit("energy", "eV per atom", system.n_atoms, "per atom")
    yield from (Unit("energy", name, size, name) for name, size in ENERGIES.items())


def _label_units(system: System) -> dict[str, list[Unit]]:
    """The units that are tried for each label."""
    force = [Unit("force", "eV/Å", 1.0), Unit("force", "eV/Bohr", 1 / Bohr, "Bohr")]
    force += [Unit("force", f"{name}/Å", size, name, rare=name in ATOMIC) for name, size in ENERGIES.items()]
    force += [Unit("force", f"{name}/Bohr", ENERGIES[name] / Bohr, name) for name in ATOMIC]
    force_mag = [Unit("force_mag", "eV/μ_B", 1.0), Unit("force_mag", "eV/ħ", 0.5, "ħ")]
    force_mag += [Unit("force_mag", f"{name}/μ_B", ENERGIES[name], name) for name in (*ATOMIC, "meV")]
    force_mag += [
        Unit("force_mag", "mRy/μ_B", 1e-3 * Rydberg, "mRy"),
        Unit("force_mag", "tesla", TESLA, "tesla"),
    ]
    virial = [Unit("virial", "eV", 1.0)]
    virial += [Unit("virial", name, ENERGIES[name], name) for name in ATOMIC]
    if all(system.pbc):
        volume = float(np.median(np.abs(np.linalg.det(np.asarray(system.box)))))
        virial += [
            Unit("virial", name, volume * size, name.partition("/")[0], size)
            for name, size in PRESSURES.items()
        ]
    return {"force": force, "force_mag": force_mag, "virial": virial}
