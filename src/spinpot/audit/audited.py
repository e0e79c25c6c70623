"""A system with the results of its audit."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from spinpot.audit import advice, findings
from spinpot.audit.findings import Finding
from spinpot.audit.moments import moments_by_element, net_force, net_torque, tilts
from spinpot.audit.outliers import ENERGY, outliers
from spinpot.audit.units import guesses
from spinpot.audit.work import Untestable, Work, work_along_pairs
from spinpot.data.sample import thinned
from spinpot.data.systems import System, select
from spinpot.looks.labels import close_looks, zero_labels
from spinpot.looks.units import distance_looks, unit_looks


class Audited:
    """A system and the results of its own audit. tilts: degrees, one per non-zero moment."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.outliers = outliers(system)
        # Frames whose energy is an outlier are left out of the work test.
        strange = [outlier.frame for outlier in self.outliers if outlier.quantity == ENERGY]
        self.work = work_along_pairs(select(system, np.setdiff1d(np.arange(len(system)), strange)))
        self.elements = moments_by_element(system)
        self.tilts = tilts(np.asarray(thinned(system).spin))
        self.zeros = zero_labels(system)
        self.net_force, self.net_torque = net_force(system), net_torque(system)

    def findings(self) -> list[Finding]:
        """All findings about this system."""
        few = thinned(self.system)
        lengths = distance_looks(few)  # without coordinates in Å, factors mean little
        guessed = guesses(few, self.work) if isinstance(self.work, Work) and not lengths else {}
        causes = dict.fromkeys(self.system.labels, advice.COORDINATES) if lengths else {}
        causes |= {label: advice.SEE_UNITS for labels in guessed.values() for label in labels}
        return [
            *findings.of_units(self.system, [*lengths, *unit_looks(few, frames=0)], list(guessed)),
            *findings.of_work(self.system, self.work, causes),
            *findings.of_close(self.system, close_looks(self.system, range(len(self.system)))),
            *findings.of_zeros(self.system, self.zeros),
            *findings.of_outliers(self.system, self.outliers),
            *findings.of_moments(self.system, self.elements, self.tilts),
            *findings.of_sums(self.system, self.net_force, self.net_torque),
        ]

    def numbers(self) -> dict[str, Any]:
        """The entries of audit.json for this system."""
        quantiles = np.quantile(self.tilts, (0.5, 0.95, 1.0)).tolist() if self.tilts.size else None
        return {
            "work": _numbers_of(self.work),
            "elements": {one.element: asdict(one) for one in self.elements},
            "tilt_median_95_max": quantiles,
            "net_force": self.net_force,
            "net_torque": self.net_torque,
            "outliers": [asdict(one) for one in self.outliers],
            "zero_labels": self.zeros,
        }


def works_of(audited: Sequence[Audited]) -> dict[str, Work]:
    """The work tests by name of the system; untestable systems are left out."""
    return {one.system.name: one.work for one in audited if isinstance(one.work, Work)}


def labels_of(works: Mapping[str, Work]) -> list[str]:
    """The labels tested in at least one system."""
    return list(dict.fromkeys(label for work in works.values() for label in work.factors))


def worst_of(works: Mapping[str, Work], most: int) -> dict[str, Work]:
    """At most `most` work tests, those with the lowest R², in their order."""
    worst = sorted(works, key=lambda name: works[name].r2)[:most]
    return {name: work for name, work in works.items() if name in worst}


def _numbers_of(work: Work | Untestable) -> dict[str, Any]:
    if isinstance(work, Untestable):
        return {"untestable": work.reason}
    return {
        "frames": work.frames,
        "pairs": len(work.energy),
        "factors": {name: asdict(factor) for name, factor in work.factors.items()},
        "r2": work.r2,
        "correction": work.correction,
    }
