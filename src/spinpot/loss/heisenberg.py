"""The baseline "Heisenberg fit": exchange and Landau energy, fitted to the training frames."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from spinpot.core.quantities import MAIN
from spinpot.data.batch import Batch
from spinpot.data.description import frame_digests
from spinpot.data.duplicates import Copy, without
from spinpot.data.systems import System, select
from spinpot.loss.label_scale import scaled
from spinpot.models.exchange.fit import chosen_frames, fit_systems
from spinpot.models.exchange.settings import ExchangeSettings
from spinpot.models.exchange.term import ExchangeTerm
from spinpot.models.spec import Spec

TERMS = ("bilinear", "landau")
LABELS = tuple(quantity.label for quantity in MAIN)
NAME = "Heisenberg fit"
STORED = ("coefficients", "energy_bias", "scale")  # stored unchanged


@dataclass(frozen=True)
class HeisenbergFit:
    """Predicts by Heisenberg exchange and the energy of the moments' length, without a network.

    coefficients (M,) and energy_bias (T,), eV, fitted together. scale: (T,), c of labels c·(−∂E/∂S), which
    also multiplies the predictions; None for 1. frames: digests of the fitted frames.
    """

    term: ExchangeTerm
    coefficients: Tensor
    energy_bias: Tensor
    scale: Tensor | None
    frames: frozenset[str]

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        """Energies and their derivatives, by the names in spinpot.core.conventions."""
        made = self.term.evaluate(self.term.structure(batch), self.coefficients)
        per_atom = made.atom_energy + self.energy_bias[batch.types]
        energy = torch.zeros(batch.n_frames, dtype=torch.float64).index_add(0, batch.frame, per_atom)
        found = {"energy": energy, **vars(made), "atom_energy": per_atom}
        return found if self.scale is None else scaled(found, batch.types, self.scale)

    def as_dict(self) -> dict[str, Any]:
        """Plain data and tensors, for a checkpoint."""
        kept = {name: getattr(self, name) for name in STORED}
        return {**kept, "moment_squared": self.term.moment_squared, "frames": sorted(self.frames)}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any], spec: Spec) -> Self:
        """The inverse of as_dict; spec: of the checkpoint's model."""
        term = _term(spec)
        term.moment_squared.copy_(stored["moment_squared"])
        kept = {name: stored[name] for name in STORED}
        return cls(term, frames=frozenset(stored["frames"]), **kept)


@dataclass(frozen=True)
class Baseline:
    """A Heisenberg fit and its description; or None and the reason why there is none."""

    fit: HeisenbergFit | None
    words: str


def fitted_to(
    training: Sequence[System], spec: Spec, scale: Tensor | None = None, found: Sequence[Copy] = ()
) -> Baseline:
    """Fit energies, forces and magnetic forces of the training frames, without duplicates of judged frames.

    spec: that of the compared model, which determines the cutoff. scale: as in HeisenbergFit. found: the
    copies among the training systems followed by the judged systems (validation, test).
    """
    if not (left := _not_judged(training, found)):
        return Baseline(None, _left_out("every training frame is also in the validation or test set"))
    term = _term(spec)
    places = chosen_frames(left, term)
    unknowns = len(term.start) + len(spec.type_map)
    known = sum(_labels_of_a_frame(system, spec.use_spin) for system, _ in places)
    if known <= unknowns:
        return Baseline(None, _left_out(f"its {unknowns} coefficients would be fitted to {known} labels"))
    fit = fit_systems(term, left, LABELS, scale)
    digests = (frame_digests(select(system, np.array([index]))) for system, index in places)
    predictor = HeisenbergFit(term, fit.coefficients, fit.energy_bias, scale, frozenset().union(*digests))
    return Baseline(predictor, in_words(predictor))


def stored_for(stored: Mapping[str, Any] | None, judged: Sequence[System], spec: Spec) -> Baseline:
    """The fit of a checkpoint (from as_dict, or None), unless it was fitted to some of the judged frames."""
    if stored is None:
        return Baseline(None, _left_out("the checkpoint does not contain one"))
    fit = HeisenbergFit.from_dict(stored, spec)
    if shared := sum(digest in fit.frames for system in judged for digest in frame_digests(system)):
        return Baseline(None, _left_out(f"it was fitted to {shared} of these frames"))
    return Baseline(fit, in_words(fit))


def in_words(fit: HeisenbergFit) -> str:
    """The explanation below a table with the fit's column."""
    return (
        f"{NAME}: exchange J(r) between the moments within the cutoff and an energy of their lengths, "
        f"without a network, fitted by least squares to the labels of {len(fit.frames)} training frames."
    )


def _left_out(why: str) -> str:
    return f"{NAME}: left out, since {why}."


def _term(spec: Spec) -> ExchangeTerm:
    return ExchangeTerm(spec, ExchangeSettings(TERMS))


def _not_judged(training: Sequence[System], found: Sequence[Copy]) -> list[System]:
    """The training frames that are not duplicates of judged frames; found: as for fitted_to."""
    own = len(training)
    judged = {(one.kept_system, one.kept_frame) for one in found if one.kept_system < own <= one.system}
    again = [one for one in found if one.system < own and (one.kept_system, one.kept_frame) in judged]
    return without(training, [*again, *(Copy(*place, *place) for place in judged)])


def _labels_of_a_frame(system: System, use_spin: Sequence[bool]) -> int:
    magnetic = sum(use_spin[kind] for kind in system.types)
    numbers = {"energy": 1, "force": 3 * system.n_atoms, "force_mag": 3 * magnetic}
    return sum(numbers[label] for label in system.labels if label in numbers)
