"""Judges and prints the factor of a label: label = factor × (−derivative of the energy)."""

from math import floor, log10

from scipy.special import ndtr, stdtrit

from spinpot.audit.work import Factor

FINE, WRONG = 0.03, 0.05
"""|factor − 1| up to FINE is ok; above WRONG it is wrong if the standard error is small enough."""
MULTIPLE = 0.5, 2.0
"""Factors of magnetic forces in between may be intended by a code; others are errors of the data."""
VAGUE = 0.1  # a factor with a larger standard error (relative for factors above 1) is inconclusive


def severity(factor: Factor, frames: int) -> str:
    """`wrong`, `look` or `ok`. frames: number of frames that determine the factor."""
    if factor.value is None or factor.error is None:
        return "look"
    off = abs(factor.value - 1)
    if off > max(WRONG, by_few(3.0, frames) * factor.error):
        return "wrong"
    return "look" if off > max(FINE, by_few(2.0, frames) * factor.error) or vague(factor) else "ok"


def vague(factor: Factor) -> bool:
    """Whether a factor is missing or has a large standard error."""
    if factor.value is None or factor.error is None:
        return True
    return factor.error > VAGUE * max(1.0, abs(factor.value))


def by_few(errors: float, frames: int) -> float:
    """The number of standard errors from so many frames that is as rare as `errors` from infinitely many."""
    return float(stdtrit(max(frames - 1, 1), ndtr(errors)))


def decimals(value: float) -> int:
    """Decimals to print a factor with: three near 1, else four significant digits."""
    near = value == 0 or 0.1 <= abs(value) < 10
    return 3 if near else max(0, 3 - floor(log10(abs(value))))


def with_error(factor: Factor | None) -> str:
    """`1.002 ± 0.015`; a dash for an undetermined factor."""
    if factor is None or factor.value is None or factor.error is None:
        return "–"
    digits = decimals(factor.value)
    return f"{factor.value:.{digits}f} ± {factor.error:.{digits}f}"


def in_brief(factor: Factor | None) -> str:
    """`1.002(15)`, with the standard error in units of the last digit; a dash for an undetermined factor."""
    if factor is None or factor.value is None or factor.error is None:
        return "–"
    digits = decimals(factor.value)
    return f"{factor.value:.{digits}f}({round(10**digits * factor.error):d})"
