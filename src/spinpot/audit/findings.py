"""Turns the numbers of an audit into findings with a severity and advice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spinpot.audit import advice, factors
from spinpot.audit.moments import ElementMoments
from spinpot.audit.outliers import SMALLEST, Outlier
from spinpot.audit.work import FEWEST_FRAMES, SMALL, Factor, TooFew, Untestable, Work, label_name
from spinpot.core.notes import shortened
from spinpot.data.duplicates import Duplicates, differing
from spinpot.data.systems import System
from spinpot.looks.look import Look
from spinpot.looks.precision import precision_looks

SEVERITIES = ("wrong", "look", "note", "ok")

EXPLAINED = 0.9  # with a smaller R², the work of the labels does not explain the energies
NET_FORCE, NET_TORQUE = 0.05, 0.3
SMALL_TILT = 5.0  # degrees
DERIVATIVES = {"force": "(−∂E/∂R)", "force_mag": "(−∂E/∂S)", "virial": "(−∂E/∂ε)"}


@dataclass(frozen=True)
class Finding:
    """A statement about one or two systems, with advice unless the severity is ok."""

    severity: str
    topic: str
    system: str
    text: str
    advice: str = ""


@dataclass(frozen=True)
class Group:
    """All findings with the same severity, topic and advice. statements: (system, text)."""

    severity: str
    topic: str
    advice: str
    statements: list[tuple[str, str]]


def grouped(findings: Sequence[Finding]) -> list[Group]:
    """Group findings; the worst groups come first, otherwise in the order given."""
    groups: dict[tuple[str, str, str], Group] = {}
    for finding in findings:
        key = (finding.severity, finding.topic, "" if finding.severity == "ok" else finding.advice)
        group = groups.setdefault(key, Group(*key, []))
        group.statements.append((finding.system, finding.text))
    return sorted(groups.values(), key=lambda group: SEVERITIES.index(group.severity))


def of_work(
    system: System, work: Work | Untestable, causes: Mapping[str, str] | None = None
) -> list[Finding]:
    """Whether each label is the derivative of the energy; nothing for too few frames, see of_few.

    causes: advice on the wrong factors of a label, if their cause is known.
    """
    if isinstance(work, TooFew):
        return []
    if isinstance(work, Untestable):
        return [Finding("look", "labels not tested", system.name, work.reason + ".", advice.UNTESTED)]
    explained, known = work.r2 >= EXPLAINED, causes or {}
    found = [
        _of_factor(system, label, factor, work.frames, known.get(label.partition("/")[0], ""))
        for label, factor in work.factors.items()
        if explained or factor.value is not None  # else the finding below is the reason
    ]
    text = f"the labels explain {100 * work.r2:.4g} % of the energy differences (R² {work.r2:.5f})."
    return [
        *found,
        Finding("ok" if explained else "wrong", "energies", system.name, text, advice.UNEXPLAINED),
    ]


def of_few(systems: Sequence[System]) -> list[Finding]:
    """One finding about all systems with too few frames for the work test."""
    if not systems:
        return []
    names = shortened([system.name for system in systems])
    text = f"fewer than {FEWEST_FRAMES} frames."
    return [Finding("note", "labels not tested", names, text, advice.FEW_FRAMES)]


def _of_factor(system: System, label: str, factor: Factor, frames: int, cause: str) -> Finding:
    severity, name = factors.severity(factor, frames), label_name(label)
    text = f"{name} = {factors.with_error(factor)} × {DERIVATIVES[label.partition('/')[0]]}; expected 1."
    what = advice.VAGUE if severity == "look" and factors.vague(factor) else _advice(label, factor)
    if factor.value is None:
        text, what = f"not determined: {factor.undetermined}.", _untested(label, factor.undetermined)
    elif severity == "wrong" and cause:
        what = cause
    return Finding(severity, f"{name} and energies", system.name, text, what)


def _advice(label: str, factor: Factor) -> str:
    """What to do about a factor that is not 1."""
    value = factor.value or 1.0
    if value < 0:
        return advice.OPPOSITE
    if not factors.MULTIPLE[0] < value < factors.MULTIPLE[1]:
        return advice.FAR
    return advice.SCALE if label.startswith("force_mag") else advice.DERIVATIVE


def _untested(label: str, reason: str) -> str:
    """What to do about an undetermined factor."""
    if reason == SMALL:
        return advice.RELAXED
    if "work" not in reason:
        return advice.FEW
    return advice.LENGTHS if label.endswith("longitudinal") else advice.NO_WORK


def of_moments(system: System, elements: Sequence[ElementMoments], tilts: np.ndarray) -> list[Finding]:
    """Lengths and tilts of the moments, and magnetic forces on atoms without moments."""
    magnetic = [one for one in elements if one.greatest > 0]
    found = [finding for one in magnetic for finding in _of_magnetic(system, one)]
    if not magnetic:
        found.append(Finding("wrong", "moments", system.name, "all moments are zero.", advice.NO_MOMENTS))
    for one in elements:
        if one.unowned is not None and one.unowned > SMALLEST:
            text = f"up to {one.unowned:.3g} eV/μ_B on {one.element} atoms with zero moment."
            found.append(
                Finding("look", "magnetic forces without moments", system.name, text, advice.UNOWNED)
            )
    if magnetic:
        middle, most = np.median(tilts), tilts.max()
        text = (
            f"moments are tilted by {middle:.3g}° (median) and at most {most:.3g}° from the nearest "
            "collinear axis."
        )
        severity = "look" if most < SMALL_TILT else "ok"
        found.append(Finding(severity, "tilts", system.name, text, advice.SMALL_TILTS))
    return found


def _of_magnetic(system: System, one: ElementMoments) -> list[Finding]:
    lengths = (
        f"|S| of {one.element}: {one.least:.3f}–{one.greatest:.3f} μ_B, mean {one.mean:.3f}, "
        f"standard deviation {one.spread:.4f}."
    )
    found = [Finding("ok", "moments", system.name, lengths)]
    if one.without:
        text = f"no moment on {one.element} in {one.without} of {len(system)} frames."
        found.append(Finding("look", "frames without moments", system.name, text, advice.WITHOUT))
    return found


def of_sums(system: System, force: float | None, torque: float | None) -> list[Finding]:
    """Net force and net torque, as computed by moments.net_force and net_torque."""
    found = []
    for value, most, topic, name, terms, what in (
        (force, NET_FORCE, "net force", "net force", "forces", advice.NET_FORCE),
        (torque, NET_TORQUE, "net torque", "net torque S × F_mag", "torques", advice.NET_TORQUE),
    ):
        if value is not None:
            text = f"the {name} is {100 * value:.3g} % of the sum expected for unrelated {terms}."
            found.append(Finding("look" if value > most else "ok", topic, system.name, text, what))
    return found


def of_outliers(system: System, outliers: Sequence[Outlier]) -> list[Finding]:
    """The number of outliers, and the strangest one with its place on disk."""
    frames = len({outlier.frame for outlier in outliers})
    texts = [
        f"{frames} of {len(system)} frames; the strangest is {system.where(worst.frame)}: {worst.quantity} "
        f"{worst.value:.3g} {worst.unit}, {abs(worst.deviations):.3g} robust standard deviations away."
        for worst in outliers[:1]
    ]
    return _each("outliers", system, texts, advice.OUTLIERS, "no frame is an outlier.")


def of_zeros(system: System, zeros: Mapping[str, int]) -> list[Finding]:
    """Labels that are all zero in a frame. zeros: number of such frames by label."""
    found = []
    for label, count in zeros.items():
        severity = "wrong" if count == len(system) else "look"
        text = f"{label} is zero on all atoms in {count} of {len(system)} frames."
        found.append(Finding(severity, "labels of zeros", system.name, text, advice.ZEROS))
    return found


def of_units(system: System, suspicious: Sequence[Look], guesses: Sequence[str] = ()) -> list[Finding]:
    """Suspicious sizes, one finding each, and one for the units that explain the factors."""
    texts = [f"{look.suspicion} {look.seen[:1].upper()}{look.seen[1:]}." for look in suspicious]
    found = [Finding("look", "units", system.name, text, advice.UNITS) for text in texts]
    if guesses:
        text = f"the factors fit {'either ' if len(guesses) > 1 else ''}{'; or '.join(guesses)}."
        found.append(Finding("look", "units", system.name, text, advice.CONVERT))
    return found or [Finding("ok", "units", system.name, "all units look right.")]


def of_close(system: System, close: Sequence[Look]) -> list[Finding]:
    """Atoms closer than any bond length."""
    texts = [f"{one.seen}." for one in close]
    return _each("close atoms", system, texts, advice.CLOSE, "no two atoms are closer than a bond length.")


def _each(topic: str, system: System, texts: Sequence[str], what: str, fine: str) -> list[Finding]:
    """A finding "look" for each text; without texts, one finding "ok" with the text `fine`."""
    found = [Finding("look", topic, system.name, text, what) for text in texts]
    return found or [Finding("ok", topic, system.name, fine)]


def of_precision(systems: Sequence[System]) -> list[Finding]:
    """Energies stored with too few digits for their spread, by file."""
    found = [
        Finding("look", "digits of energies", system.name, f"{look.seen}.", advice.DIGITS)
        for system, look in precision_looks(systems)
    ]
    fine = "the energies have enough digits for their spread."
    return found or [Finding("ok", "digits of energies", "all", fine)]


def of_duplicates(duplicates: Sequence[Duplicates], systems: Sequence[System]) -> list[Finding]:
    """Duplicate frames within and between systems, and duplicates with contradicting labels."""
    lengths = {system.name: len(system) for system in systems}
    found = []
    for one in duplicates:
        names = one.first if one.first == one.second else f"{one.first}, {one.second}"
        count = f"{one.of_second} of {lengths[one.second]} frames"
        if one.contradicting:
            text = f"{count} occur twice, with {differing(one.contradicting)}."
            found.append(Finding("wrong", "duplicates that contradict", names, text, advice.CONTRADICT))
        elif one.first == one.second:
            found.append(Finding("look", "duplicates", names, f"{count} repeat another.", advice.REPEATED))
        if one.first != one.second:
            text = f"{count} of {one.second} are also in {one.first}."
            found.append(Finding("wrong", "duplicates between systems", names, text, advice.LEAKED))
    return found or [Finding("ok", "duplicates", "all", "no frame occurs twice.")]
