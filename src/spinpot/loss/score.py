"""val/score: the errors of the loss terms, each in units of the spread of its labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from spinpot.core.notes import Notes
from spinpot.loss.ener_spin import PARTS
from spinpot.loss.metrics import SCALED

NEGLIGIBLE = 1e-7
"""eV/atom, eV/Å, eV/μ_B: labels that spread by less cannot set a scale, what they spread by is rounding."""
FAR = 2.0
"""An error of so many times the spread of its labels is named whatever the score is."""

SHARES = dict(zip(PARTS, (1.0, 1.0 / 3.0), strict=True))
"""rmse_fm² = rmse_fm_transverse² + rmse_fm_longitudinal²/3, since the longitudinal part is one number."""

NAMES = {"e": "energy", "fr": "force", "fm": "magnetic force", "v": "virial"}
UNITS = {"e": "eV/atom", "fr": "eV/Å", "fm": "eV/μ_B", "v": "eV/atom"}


class Score:
    """The mean over the loss terms of rmse/spread: 1 is no better than knowing nothing.

    Unlike a loss, whose prefactors change, it can be compared between times and runs. Where the loss scales
    the magnetic force, so does the score.

    The magnetic force is one term, whose unit is the spread of all its components. If the loss weighs its
    parts, the error is that of the parts with a prefactor, √(rmse_fm_transverse² + rmse_fm_longitudinal²/3).
    A part whose labels hardly vary (codes that constrain directions alone give longitudinal magnetic forces
    near zero) so counts for as little as it is of the whole.

    terms: the active terms of the loss. spread: of the validation labels, as ErrorMetric gives it, NaN where
    there are none. training: the same of the training labels, asked for only where the validation labels of
    a term do not vary, as those of a single frame.
    units: by term, eV/atom, eV/Å or eV/μ_B; a term without one does not count. notes: what was not as usual.
    """

    def __init__(
        self,
        terms: Sequence[str],
        spread: Mapping[str, float],
        training: Callable[[], Mapping[str, float]],
    ) -> None:
        self.spread = spread
        self.parts = tuple(name for name in terms if name in PARTS)
        self.units: dict[str, float] = {}
        self.notes = Notes()
        for name in dict.fromkeys("fm" if term in PARTS else term for term in terms):
            if not self._labelled(name, spread):
                continue
            if spread[f"rmse_{name}"] > NEGLIGIBLE:
                self.units[name] = spread[f"rmse_{name}"]
            else:
                self._without_own_unit(name, training()[f"rmse_{name}"])

    def _labelled(self, name: str, spread: Mapping[str, float]) -> bool:
        needed = self.parts if name == "fm" and self.parts else (name,)
        return not any(math.isnan(spread[f"rmse_{quantity}"]) for quantity in needed)

    def _without_own_unit(self, name: str, of_training: float) -> None:
        unit, left = UNITS[name], " after a fit by composition" if name == "e" else ""
        what = f"val/score: the {NAMES[name]} labels of the validation set spread by less than"
        what = f"{what} {NEGLIGIBLE} {unit}{left}"
        if of_training > NEGLIGIBLE:
            self.units[name] = of_training
            self.notes.add(
                f"{what}; the score measures their errors by the spread of the training set, "
                f"{of_training:.3g} {unit}."
            )
        else:
            self.notes.add(f"{what}, and so do those of the training set: they do not count in the score.")

    def __call__(self, errors: Mapping[str, float]) -> float:
        """The score of some errors, as ErrorMetric gives them.

        Infinite if one of them is not a finite number; NaN if no term has a unit.
        """
        ratios = self.ratios(errors).values()
        if not ratios:
            return math.nan
        mean = sum(ratios) / len(ratios)
        return mean if math.isfinite(mean) else math.inf

    def ratios(self, errors: Mapping[str, float]) -> dict[str, float]:
        """The error of each term in its unit."""
        return {name: self._error(name, errors) / unit for name, unit in self.units.items()}

    def _error(self, name: str, errors: Mapping[str, float]) -> float:
        if name == "fm" and self.parts:
            return math.sqrt(sum(SHARES[part] * _compared(part, errors) ** 2 for part in self.parts))
        return _compared(name, errors)


def _compared(name: str, errors: Mapping[str, float]) -> float:
    """The error of what the loss compares with the labels."""
    return errors.get(f"rmse_{name}{SCALED}", errors[f"rmse_{name}"])


def verdict(score: float | None, ratios: Mapping[str, float | None]) -> str:
    """One sentence about a run that is of no use; empty for others.

    score, ratios: of the best checkpoint, as Score gives them; None where they are not finite.
    """
    far = {name: ratio for name, ratio in ratios.items() if ratio is None or ratio >= FAR}
    if not ratios or (score is not None and score < 1.0 and not far):
        return ""
    named = ", ".join(
        f"{NAMES[name]} not finite" if ratio is None else f"{NAMES[name]} {ratio:.3g}"
        for name, ratio in (ratios if score is None or score >= 1.0 else far).items()
    )
    said = "not finite" if score is None else f"{score:.3g}"
    return (
        f"The best checkpoint is of little use: its score is {said} (1 is no better than predicting the mean "
        f"energy and zero forces), and its errors in units of the labels' spread are {named}; train longer, "
        "lower scheduler.start_lr if the errors grew, or check the data by scripts/audit.py."
    )
