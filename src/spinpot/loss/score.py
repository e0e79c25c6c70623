"""val/score: the errors of the loss terms, each in units of the spread of its labels."""

import math
from collections.abc import Callable, Mapping, Sequence

from spinpot.core.notes import Notes
from spinpot.core.quantities import ENERGY, QUANTITIES, SCALED, Quantity

NEGLIGIBLE = 1e-7
"""eV/atom, eV/Å, eV/μ_B. Labels with a smaller spread, which is rounding, cannot set a scale."""
FAR = 2.0  # an error of this many spreads of its labels is reported for any score


class Score:
    """The mean over the loss terms of rmse/spread: 1 is no better than a trivial predictor.

    Unlike the loss, whose prefactors change, the score can be compared between times and runs. If the loss
    scales the magnetic force, so does the score.

    The magnetic force is one term, in units of the spread of all its components. If the loss has prefactors
    for its parts, the error is that of these parts, √(rmse_fm_transverse² + rmse_fm_longitudinal²/3). A part
    whose labels hardly vary therefore counts little: longitudinal magnetic forces are near zero if the code
    constrains only directions.

    terms: the active terms of the loss. spread: of the validation labels, as ErrorMetric returns it; NaN
    without labels. training: the same for the training labels, called only if a term's validation labels do
    not vary, as for a single frame.
    units: by term, eV/atom, eV/Å or eV/μ_B; a term without a unit does not count. notes: exceptions from
    these rules.
    """

    def __init__(
        self,
        terms: Sequence[str],
        spread: Mapping[str, float],
        training: Callable[[], Mapping[str, float]],
    ) -> None:
        self.spread = spread
        active = [QUANTITIES[term] for term in terms]
        self.parts = [quantity for quantity in active if quantity.whole]
        self.units: dict[str, float] = {}
        self.notes = Notes()
        for name in dict.fromkeys(quantity.whole or quantity.name for quantity in active):
            quantity = QUANTITIES[name]
            if any(math.isnan(spread[needed.rmse]) for needed in self._parts_of(name) or [quantity]):
                continue
            if spread[quantity.rmse] > NEGLIGIBLE:
                self.units[name] = spread[quantity.rmse]
            else:
                self._without_own_unit(quantity, training()[quantity.rmse])

    def _parts_of(self, name: str) -> list[Quantity]:
        return [part for part in self.parts if part.whole == name]

    def _without_own_unit(self, quantity: Quantity, of_training: float) -> None:
        left = " after a fit by composition" if quantity is ENERGY else ""
        what = f"val/score: the spread of the {quantity.title} labels of the validation set is below"
        what = f"{what} {NEGLIGIBLE} {quantity.unit}{left}"
        if of_training > NEGLIGIBLE:
            self.units[quantity.name] = of_training
            self.notes.add(
                f"{what}; the score uses the spread of the training set instead, "
                f"{of_training:.3g} {quantity.unit}."
            )
        else:
            self.notes.add(f"{what}, also in the training set: they do not count in the score.")

    def __call__(self, errors: Mapping[str, float]) -> float:
        """The mean of the ratios: infinite if it is not a finite number, NaN if no term has a unit."""
        if not (ratios := self.ratios(errors).values()):
            return math.nan
        mean = sum(ratios) / len(ratios)
        return mean if math.isfinite(mean) else math.inf

    def ratios(self, errors: Mapping[str, float]) -> dict[str, float]:
        """{term: error in its unit}."""
        return {name: self._error(name, errors) / unit for name, unit in self.units.items()}

    def _error(self, name: str, errors: Mapping[str, float]) -> float:
        if parts := self._parts_of(name):
            return math.sqrt(sum(part.share * _compared(part, errors) ** 2 for part in parts))
        return _compared(QUANTITIES[name], errors)


def _compared(quantity: Quantity, errors: Mapping[str, float]) -> float:
    """The error of the quantity that the loss compares with the labels."""
    return errors.get(f"{quantity.rmse}{SCALED}", errors[quantity.rmse])


def verdict(score: float | None, ratios: Mapping[str, float | None]) -> str:
    """One sentence about a run without useful result; empty for other runs.

    score, ratios: of the best checkpoint, as Score returns them; None if not finite.
    """
    far = {name: ratio for name, ratio in ratios.items() if ratio is None or ratio >= FAR}
    if not ratios or (score is not None and score < 1.0 and not far):
        return ""
    named = ", ".join(
        f"{QUANTITIES[name].title} {'not finite' if ratio is None else f'{ratio:.3g}'}"
        for name, ratio in (ratios if score is None or score >= 1.0 else far).items()
    )
    said = "not finite" if score is None else f"{score:.3g}"
    return (
        f"The best checkpoint is of little use: its score is {said} (1 is no better than predicting the mean "
        f"energy and zero forces), and its errors in units of the labels' spread are {named}; train longer, "
        "lower scheduler.start_lr if the errors grew, or check the data by spinpot audit."
    )
