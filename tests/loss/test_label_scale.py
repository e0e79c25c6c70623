"""The scale of magnetic-force labels."""

import pytest
import torch

from spinpot.core.errors import InputError
from spinpot.loss.ener_spin import EnerSpinLoss
from spinpot.loss.label_scale import LabelScale
from spinpot.loss.metrics import ErrorMetric
from spinpot.loss.score import Score
from support.frames import batch_of, random_system, small_potential, with_random_labels

MAGNETIC = torch.tensor([True, False])


@pytest.fixture
def batch():
    return batch_of(small_potential(), with_random_labels(random_system(1, n_frames=2), seed=1))


def test_one_for_every_magnetic_element():
    assert LabelScale(0.8, [True, False]).by_element(["Ni", "O"]) == {"Ni": 0.8}
    assert LabelScale([0.8, 0.5], [True, False, True]).by_element("ABC") == {"A": 0.8, "C": 0.5}
    assert LabelScale("learned", [True, False]).by_element(["Ni", "O"]) == {"Ni": 1.0}
    with pytest.raises(InputError, match=r"loss.label_scale_fm has 3 numbers; expected one, or 1"):
        LabelScale([0.8, 0.5, 1.0], [True, False])


def test_only_a_learned_one_is_a_parameter():
    assert not list(LabelScale(0.8, [True]).parameters())
    assert not LabelScale(0.8, [True]).state_dict()
    assert [p.item() for p in LabelScale("learned", [True]).parameters()] == [0.0]


def test_the_loss_compares_the_multiple_with_the_labels(batch):
    prediction = small_potential()(batch)
    doubled = {**prediction, "force_mag": 2.0 * prediction["force_mag"]}
    loss = EnerSpinLoss()
    scaled, _ = loss.sums(prediction, batch, MAGNETIC, torch.tensor([2.0, 1.0]))
    torch.testing.assert_close(scaled, loss.sums(doubled, batch, MAGNETIC)[0])


def test_what_is_learned_is_the_least_squares_answer(batch):
    """Labels are 0.8 of a prediction that stays as it is."""
    prediction = small_potential()(batch)
    batch.force_mag.copy_(0.8 * prediction["force_mag"])
    scale, loss = LabelScale("learned", [True, False]), EnerSpinLoss()
    optimizer = torch.optim.LBFGS(scale.parameters(), max_iter=50, tolerance_grad=1e-14)

    def closure():
        optimizer.zero_grad()
        total = loss.sums(prediction, batch, MAGNETIC, scale())[0][2] * 1e4
        total.backward()
        return total

    optimizer.step(closure)
    assert scale.by_element(["Ni", "O"])["Ni"] == pytest.approx(0.8, abs=1e-8)


def test_errors_are_of_the_derivative_and_beside_them_of_the_multiple(batch):
    prediction = small_potential()(batch)
    batch.force_mag.copy_(0.8 * prediction["force_mag"])
    metric = ErrorMetric(["Ni", "O"], [True, False])
    metric.update(prediction, batch)
    plain = metric.compute()
    assert not any("scaled" in name for name in plain)
    metric.update(prediction, batch, torch.tensor([0.8, 1.0], dtype=torch.float64))
    found = metric.compute()
    assert found["rmse_fm"] == pytest.approx(plain["rmse_fm"])
    assert found["rmse_fm"] > 1e-4
    for name in ("fm", "fm_transverse", "fm_longitudinal", "fm/Ni"):
        quantity, _, element = name.partition("/")
        key = f"rmse_{quantity}_scaled" + (f"/{element}" if element else "")
        assert found[key] == pytest.approx(0.0, abs=1e-15)
    score = Score(["fm"], dict.fromkeys(found, 1.0), dict)
    assert score(found) == pytest.approx(0.0, abs=1e-15)
    assert score(plain) == pytest.approx(plain["rmse_fm"])
