"""val/score: the units of the errors, and labels without spread, which do not count."""

import math

import numpy as np
import pytest

from spinpot.data.dataset import FrameDataset
from spinpot.loss.baselines import dataset_errors, spread_of
from spinpot.loss.score import Score, verdict
from support.frames import geometry, random_system, small_potential, system, with_random_labels

SPREAD = {"rmse_e": 0.01, "rmse_fr": 0.1, "rmse_fm": 0.05, "rmse_v": math.nan}
SPREAD |= {"rmse_fm_transverse": 0.05, "rmse_fm_longitudinal": 0.001}
PARTS = ["fm_transverse", "fm_longitudinal"]


def no_training():
    raise AssertionError("The validation labels vary.")


def with_energies(seed, energies, n_ni, n_o):
    made = with_random_labels(random_system(seed, len(energies), n_ni, n_o), seed, only=("force",))
    return system(
        made.type_map,
        made.types,
        made.box,
        made.coord,
        made.spin,
        energy=np.array(energies),
        force=made.force,
    )


def spread(*systems):
    dataset = FrameDataset(systems, geometry(small_potential().spec))
    return dataset_errors(spread_of(systems), dataset, (True, False))


def test_energies_of_two_compositions_count():
    """Ni3O3 and Ni4O2 with totals of −10⁴ eV: a model with 100 times the energy error does not win."""
    rng = np.random.default_rng(0)
    ni3, ni4 = (total + 0.03 * rng.normal(size=12) for total in (-10_000.0, -11_500.0))
    own = spread(with_energies(1, ni3, 3, 3), with_energies(2, ni4, 4, 2))
    left = np.concatenate([ni3 - ni3.mean(), ni4 - ni4.mean()]) / 6
    assert own["rmse_e"] == pytest.approx(left.std(), rel=1e-6)
    score = Score(["e", "fr"], own, no_training)
    right = {"rmse_e": 0.1 * own["rmse_e"], "rmse_fr": 0.5 * own["rmse_fr"]}
    wrong = {"rmse_e": 100 * right["rmse_e"], "rmse_fr": 0.4 * own["rmse_fr"]}
    assert score(right) == pytest.approx((0.1 + 0.5) / 2)
    assert score(wrong) == pytest.approx((10.0 + 0.4) / 2)


def test_of_one_composition_it_is_the_deviation_from_the_mean():
    energies = [-10_000.01, -10_000.02, -10_000.06]
    # Of another size, but of the same composition.
    own = spread(with_energies(1, energies, 1, 1), with_energies(2, [-30_000.1], 3, 3))
    per_atom = np.array([*np.array(energies) / 2, -30_000.1 / 6])
    assert own["rmse_e"] == pytest.approx(per_atom.std(), rel=1e-6)


def test_as_many_compositions_as_frames_are_measured_by_the_training_set():
    own = spread(with_energies(1, [-10_000.0], 3, 3), with_energies(2, [-11_500.0], 4, 2))
    score = Score(["e", "fr"], own, lambda: {"rmse_e": 0.02})
    assert score({"rmse_e": 0.01, "rmse_fr": 0.0}) == pytest.approx(0.25)
    assert list(score.notes) == [
        "val/score: the spread of the energy labels of the validation set is below 1e-07 eV/atom after a fit "
        "by composition; the score uses the spread of the training set instead, 0.02 eV/atom."
    ]


def test_labels_that_never_vary_do_not_count_and_this_is_said():
    score = Score(["e", "fr"], SPREAD | {"rmse_fr": 1e-9}, lambda: {"rmse_fr": 0.0})
    assert score({"rmse_e": 0.005, "rmse_fr": 1.0}) == pytest.approx(0.5)
    assert list(score.notes) == [
        "val/score: the spread of the force labels of the validation set is below 1e-07 eV/Å, also in the "
        "training set: they do not count in the score."
    ]


def test_terms_without_labels_do_not_count():
    assert Score(["e", "v"], SPREAD, no_training)({"rmse_e": 0.005, "rmse_v": math.nan}) == 0.5
    assert math.isnan(Score(["v"], SPREAD, no_training)({"rmse_v": math.nan}))


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_an_error_that_is_no_number_is_infinitely_bad(wrong):
    score = Score(["e", "fr"], SPREAD, no_training)
    assert score({"rmse_e": wrong, "rmse_fr": 0.01}) == math.inf


def test_parts_are_measured_by_the_whole_magnetic_force():
    """The longitudinal labels hardly vary; an error of twice their spread must not decide."""
    score = Score(PARTS, SPREAD, no_training)
    early = score({"rmse_fm_transverse": 0.010, "rmse_fm_longitudinal": 0.001})
    late = score({"rmse_fm_transverse": 0.005, "rmse_fm_longitudinal": 0.002})
    assert late < early
    assert early == pytest.approx(math.sqrt(0.010**2 + 0.001**2 / 3) / 0.05)


def test_one_part_alone_is_measured_by_the_whole_magnetic_force():
    errors = {"rmse_fm_transverse": 0.01, "rmse_fm_longitudinal": 3.0}
    assert Score(["fm_transverse"], SPREAD, no_training)(errors) == pytest.approx(0.2)
    errors = {"rmse_fm_transverse": 3.0, "rmse_fm_longitudinal": 0.01}
    assert Score(["fm_longitudinal"], SPREAD, no_training)(errors) == pytest.approx(0.2 / math.sqrt(3))


def test_predicting_zero_magnetic_forces_scores_1_whether_weighed_in_parts_or_not():
    made = with_random_labels(random_system(1, n_frames=4), seed=1)
    own = spread(made)
    for terms in (["fm"], PARTS):
        assert Score(terms, own, no_training)(own) == pytest.approx(1.0)


def test_the_verdict():
    assert verdict(0.4, {"e": 0.4, "fr": 0.4}) == ""
    assert verdict(None, {}) == "", "nothing was measured"
    assert verdict(1.25, {"e": 1.5, "fr": 1.0}) == (
        "The best checkpoint is of little use: its score is 1.25 (1 is no better than predicting the mean "
        "energy and zero forces), and its errors in units of the labels' spread are energy 1.5, force 1; "
        "train longer, lower scheduler.start_lr if the errors grew, or check the data by spinpot audit."
    )
    assert "its score is not finite" in verdict(None, {"e": None, "fr": 0.5})
    assert "are energy not finite, force 0.5;" in verdict(None, {"e": None, "fr": 0.5})
    one = verdict(0.9, {"e": 0.1, "fr": 0.1, "fm": 2.5})
    assert "labels' spread are magnetic force 2.5;" in one
