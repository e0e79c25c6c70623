"""Numbers become findings with the right severity, and with advice if needed."""

from dataclasses import replace

import numpy as np
import pytest

from spinpot.audit import advice
from spinpot.audit.factors import by_few, in_brief, with_error
from spinpot.audit.findings import (
    Finding,
    grouped,
    of_duplicates,
    of_moments,
    of_outliers,
    of_sums,
    of_units,
    of_work,
    of_zeros,
)
from spinpot.audit.moments import moments_by_element, tilts
from spinpot.audit.outliers import Outlier
from spinpot.audit.work import SMALL, Factor, Untestable, Work
from spinpot.data.duplicates import Duplicates
from spinpot.looks.look import Look
from support.frames import random_system, system

MADE = random_system(1, 4)


def work(label, value, error, r2=0.999):
    return Work(9, {label: Factor(value, error, 1.0)}, r2, 0.1, np.zeros(9), np.zeros(9))


def test_few_frames_need_more_standard_errors_to_be_wrong():
    few, many = (replace(work("force", 1.23, 0.06), frames=frames) for frames in (8, 60))
    assert of_work(MADE, few)[0].severity == "look"
    assert of_work(MADE, many)[0].severity == "wrong"
    assert by_few(3.0, 8) == pytest.approx(4.53, abs=0.01)
    assert by_few(3.0, 10**6) == pytest.approx(3.0, abs=1e-3)


@pytest.mark.parametrize(
    ("value", "error", "severity"),
    [
        (1.01, 0.01, "ok"),
        (1.08, 0.05, "ok"),
        (1.04, 0.01, "look"),
        (0.9, 0.04, "look"),
        (0.8, 0.01, "wrong"),
        (-1.0, 0.01, "wrong"),
        (27.2, 1.5, "wrong"),
        (0.7, 0.2, "look"),
    ],
)
def test_factors(value, error, severity):
    factor, energies = of_work(MADE, work("force_mag/Ni/transverse", value, error))
    assert factor.severity == severity
    shown = with_error(Factor(value, error, 1.0))
    assert factor.text == f"transverse magnetic forces on Ni = {shown} × (−∂E/∂S); expected 1."
    assert energies.severity == "ok"


@pytest.mark.parametrize(
    ("value", "error", "full", "brief"),
    [
        (1.0, 0.0027, "1.000 ± 0.003", "1.000(3)"),
        (27.242, 2.364, "27.24 ± 2.36", "27.24(236)"),
        (-0.019447, 0.00005, "-0.01945 ± 0.00005", "-0.01945(5)"),
        (1602.2, 32.1, "1602 ± 32", "1602(32)"),
        (12345.0, 100.0, "12345 ± 100", "12345(100)"),
        (None, None, "–", "–"),
    ],
)
def test_digits_of_factors(value, error, full, brief):
    factor = Factor(value, error, 1.0)
    assert (with_error(factor), in_brief(factor)) == (full, brief)


@pytest.mark.parametrize(
    ("label", "value", "what"),
    [
        ("force_mag/Ni/transverse", 0.8, advice.SCALE),
        ("force_mag/Ni/longitudinal", 1.5, advice.SCALE),
        ("force_mag/Ni/transverse", 27.2, advice.FAR),
        ("force_mag/Ni/transverse", 0.3, advice.FAR),
        ("force", 0.8, advice.DERIVATIVE),
        ("force", 13.0, advice.FAR),
        ("virial", -1.0, advice.OPPOSITE),
    ],
)
def test_advice_fits_the_label_and_the_factor(label, value, what):
    """A factor far from 1 is an error of the data, which no setting of the loss mends."""
    wrong = work(label, value, 0.01)
    assert of_work(MADE, wrong)[0].advice == what
    causes = {label.partition("/")[0]: advice.SEE_UNITS}
    assert of_work(MADE, wrong, causes)[0].advice == advice.SEE_UNITS
    assert of_work(MADE, wrong, {"energy": advice.SEE_UNITS})[0].advice == what
    assert of_work(MADE, work(label, 1.0, 0.2), causes)[0].advice == advice.VAGUE


def test_lengths_that_were_relaxed():
    small = Work(9, {"force_mag/Ni/longitudinal": Factor(None, None, 1.0, SMALL)}, 0.99, 0, *np.ones((2, 9)))
    found = of_work(MADE, small)[0]
    assert (found.severity, found.advice) == ("look", advice.RELAXED)


def test_what_is_not_determined_or_tested():
    known = {
        label: Factor(None, None, 0.0, "hardly any work") for label in ("force", "force_mag/Ni/longitudinal")
    }
    undetermined = Work(9, known, 0.99, 0, np.ones(9), np.ones(9))
    force, longitudinal, energies = of_work(MADE, undetermined)
    assert (force.severity, force.text) == ("look", "not determined: hardly any work.")
    assert (force.advice, longitudinal.advice) == (advice.NO_WORK, advice.LENGTHS)
    assert energies.severity == "ok"
    # If the labels do not explain the energies, their factors are no news.
    (energies,) = of_work(MADE, replace(undetermined, r2=0.4))
    assert energies.severity == "wrong"
    (untested,) = of_work(MADE, Untestable("there are no energies"))
    assert (untested.severity, untested.text) == ("look", "there are no energies.")


def severities(findings):
    return {finding.topic: finding.severity for finding in findings}


def test_moments():
    assert severities(of_moments(MADE, moments_by_element(MADE), tilts(MADE.spin))) == {
        "moments": "ok",
        "tilts": "ok",
    }
    up = np.where(MADE.types == 0, 2.0, 0)[:, None] * [0, 0, 1] + 0 * MADE.spin
    spin = up.copy()
    spin[2] = 0
    force_mag = np.full_like(spin, 0.01)
    poor = system(MADE.type_map, MADE.types, MADE.box, MADE.coord, spin, force_mag=force_mag)
    assert severities(of_moments(poor, moments_by_element(poor), tilts(poor.spin))) == {
        "moments": "ok",
        "frames without moments": "look",
        "magnetic forces without moments": "look",
        "tilts": "look",
    }
    none = system(MADE.type_map, MADE.types, MADE.box, MADE.coord, 0 * spin)
    assert severities(of_moments(none, moments_by_element(none), tilts(none.spin))) == {"moments": "wrong"}


def test_sums():
    assert severities(of_sums(MADE, 0.2, 0.1)) == {"net force": "look", "net torque": "ok"}
    assert severities(of_sums(MADE, None, 0.5)) == {"net torque": "look"}


def test_outliers_zeros_and_units():
    (found,) = of_outliers(MADE, [Outlier(2, "largest force", 40.0, "eV/Å", 11.0)])
    assert found.severity == "look"
    assert found.text.startswith(
        "1 of 4 frames; the strangest is random1, coord, frame 2: largest force 40 eV/Å"
    )
    assert of_outliers(MADE, [])[0].severity == "ok"
    assert [one.severity for one in of_zeros(MADE, {"force": 1, "virial": 4})] == ["look", "wrong"]
    looks = [Look("coordinates in Bohr?", "they are wide"), Look("odd?", "5 eV")]
    assert [one.text for one in of_units(MADE, looks)] == [
        "coordinates in Bohr? They are wide.",
        "odd? 5 eV.",
    ]
    assert [one.text for one in of_units(MADE, [], ["a"])] == ["the factors fit a."]
    (either,) = of_units(MADE, [], ["a", "b"])
    assert (either.severity, either.text) == ("look", "the factors fit either a; or b.")
    assert of_units(MADE, [])[0].severity == "ok"


def test_duplicates():
    other = system(MADE.type_map, MADE.types, MADE.box, MADE.coord, MADE.spin, name="other")
    within = Duplicates("random1", "random1", [(0, 1), (0, 2)], {})
    between = Duplicates("random1", "other", [(0, 1)], {"energy": 0.0})
    contradicting = Duplicates("random1", "other", [(0, 1)], {"energy": 0.1, "force": 0.05, "virial": 1e-4})
    found = of_duplicates([within, between, contradicting], [MADE, other])
    assert [one.severity for one in found] == ["look", "wrong", "wrong", "wrong"]
    assert [one.text for one in found] == [
        "2 of 4 frames repeat another.",
        "1 of 4 frames of other are also in random1.",
        "1 of 4 frames occur twice, with energies up to 100 meV/atom and forces up to 50 meV/Å apart.",
        "1 of 4 frames of other are also in random1.",
    ]
    assert of_duplicates([], [MADE])[0].severity == "ok"


def test_the_worst_comes_first_and_the_same_is_said_once():
    findings = [
        Finding("ok", "tilts", "a", "fine."),
        Finding("look", "units", "a", "odd.", "look."),
        Finding("wrong", "force", "b", "off.", "mend."),
        Finding("look", "units", "b", "odd too.", "look."),
    ]
    groups = grouped(findings)
    assert [(group.severity, group.topic) for group in groups] == [
        ("wrong", "force"),
        ("look", "units"),
        ("ok", "tilts"),
    ]
    assert groups[1].statements == [("a", "odd."), ("b", "odd too.")]
