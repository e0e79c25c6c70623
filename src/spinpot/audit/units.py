"""Finds numbers that seem to be in another unit. These are suspicions, not proofs."""

from spinpot.audit.work import Factor, Work, label_name
from spinpot.data.systems import System
from spinpot.looks.units import unit_looks

NEAR, FAR = 0.03, 0.25
"""A factor may be a ratio of units if it is within two standard errors of it: at least NEAR, at most FAR."""

HARTREE, RYDBERG, BOHR = 27.211386, 13.605693, 0.529177
KCAL_PER_MOL, KJ_PER_MOL = 0.0433641, 0.0103643
FORCE_RATIOS = {
    "forces in Hartree/Bohr": BOHR / HARTREE,
    "forces in Rydberg/Bohr": BOHR / RYDBERG,
    "forces per Bohr instead of per Å": BOHR,
    "coordinates in Bohr": 1 / BOHR,
    "forces in meV/Å": 1000.0,
    "forces in kcal/mol/Å": 1 / KCAL_PER_MOL,
    "energies in Hartree": HARTREE,
    "energies in Rydberg": RYDBERG,
    "energies in meV": 1e-3,
    "energies in kcal/mol": KCAL_PER_MOL,
    "energies in kJ/mol": KJ_PER_MOL,
}
FORCE_MAG_RATIOS = {
    "magnetic forces in Hartree/μ_B": 1 / HARTREE,
    "magnetic forces in Rydberg/μ_B": 1 / RYDBERG,
    "magnetic forces in meV/μ_B": 1000.0,
    "magnetic forces per spin of ħ (2 μ_B), but moments in μ_B": 2.0,
    "moments in spins of ħ (2 μ_B), but magnetic forces per μ_B": 0.5,
}


def suspicions(system: System, work: Work | None) -> list[str]:
    """Suspicious units, in words."""
    return [*(look.text for look in unit_looks(system)), *_factors(system, work)]


def _factors(system: System, work: Work | None) -> list[str]:
    """Factors of the work test that equal a ratio of units, in words."""
    per_atom = {"energies per atom instead of per frame": float(system.n_atoms)}
    said = []
    for label, factor in (work.factors if work else {}).items():
        ratios = {**FORCE_RATIOS, **per_atom} if label == "force" else {}
        if label.endswith("transverse"):
            ratios = FORCE_MAG_RATIOS
        if guesses := [guess for guess, ratio in ratios.items() if _may_be(factor, ratio)]:
            times = f"{label_name(label)} are {factor.value:.4g} times the expected values"
            said.append(f"{times}: {', or '.join(guesses)}?")
    return said


def _may_be(factor: Factor, ratio: float) -> bool:
    """Whether a factor that is not 1 may be this ratio."""
    if factor.value is None or factor.error is None or abs(factor.value - 1) <= 2 * factor.error:
        return False
    near = min(max(NEAR, 2 * factor.error / abs(factor.value)), FAR)
    return abs(factor.value / ratio - 1) < near
