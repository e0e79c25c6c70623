"""Parts of the loss that deepmd-kit does not have: missing labels, frames of different sizes, huber."""

from dataclasses import replace

import pytest
import torch

from spinpot.core.errors import InputError
from spinpot.loss.ener_spin import EnerSpinLoss, Prefactor
from support.frames import batch_of, random_system, small_potential, with_random_labels
from support.losses import loss_and_terms

MAGNETIC = torch.tensor([True, False])
ALL_ON = {"start_pref_v": 0.3, "limit_pref_v": 0.1}


@pytest.fixture
def potential():
    return small_potential()


def loss_of(potential, *systems, **options):
    batch = batch_of(potential, *systems)
    return loss_and_terms(EnerSpinLoss(**(ALL_ON | options)), potential(batch), batch, MAGNETIC, 0.5)


def without(made, *labels):
    return replace(made, **dict.fromkeys(labels))


def test_prefactor():
    prefactor = Prefactor(1000.0, 1.0)
    assert prefactor.at(1.0) == 1000.0
    assert prefactor.at(0.0) == 1.0
    assert prefactor.at(0.25) == pytest.approx(1000 * 0.25 + 0.75)
    assert Prefactor(0.0, 1.0).active
    assert Prefactor(1.0, 0.0).active
    assert not Prefactor(0.0, 0.0).active


@pytest.mark.parametrize("loss_func", ["mse", "mae", "huber"])
@pytest.mark.parametrize("missing", ["energy", "force", "force_mag", "virial"])
def test_frames_without_a_label_are_as_if_absent_from_its_term(potential, missing, loss_func):
    whole = with_random_labels(random_system(1, n_frames=2), seed=1)
    lacking = without(with_random_labels(random_system(2, n_ni=2, n_o=3), seed=2), missing)
    options = {"loss_func": loss_func}
    _, together = loss_of(potential, whole, lacking, **options)
    _, alone = loss_of(potential, whole, **options)
    short = {"energy": "e", "force": "fr", "force_mag": "fm", "virial": "v"}
    for label, term in short.items():
        assert (together[term] == pytest.approx(alone[term].item(), rel=1e-12)) == (label == missing), term


@pytest.mark.parametrize("loss_func", ["mse", "mae", "huber"])
def test_of_float32_is_that_of_float64(loss_func):
    """Value and gradients, to what float32 can tell, with labels missing."""
    whole = with_random_labels(random_system(4), seed=4)
    lacking = without(with_random_labels(random_system(5), seed=5), "virial")
    found = {}
    for dtype in (torch.float64, torch.float32):
        potential = small_potential().set_precision(dtype)
        batch = batch_of(potential, whole, lacking)
        prediction = potential(batch, differentiable=True)
        loss, _ = loss_and_terms(
            EnerSpinLoss(**ALL_ON, loss_func=loss_func), prediction, batch, MAGNETIC, 1.0
        )
        gradients = torch.autograd.grad(loss, list(potential.parameters()), allow_unused=True)
        found[dtype] = loss, torch.cat([g.flatten().double() for g in gradients if g is not None])
    (loss, gradient), (rough_loss, rough_gradient) = found.values()
    assert rough_loss.item() == pytest.approx(loss.item(), rel=1e-4)
    assert (rough_gradient - gradient).norm() < 1e-3 * gradient.norm()


@pytest.mark.parametrize("name", ["energy", "force", "force_mag", "virial"])
def test_a_missing_label_does_not_hide_a_prediction_that_is_no_number(potential, name):
    batch = batch_of(potential, without(with_random_labels(random_system(6), seed=6), name))
    prediction = potential(batch)
    assert loss_and_terms(EnerSpinLoss(**ALL_ON), prediction, batch, MAGNETIC, 1.0)[0].isfinite()
    prediction[name].view(-1)[0] = torch.nan
    assert loss_and_terms(EnerSpinLoss(**ALL_ON), prediction, batch, MAGNETIC, 1.0)[0].isnan()


def test_gradient_is_finite_where_labels_are_missing(potential):
    made = without(with_random_labels(random_system(3), seed=3), "energy", "virial", "force_mag")
    batch = batch_of(potential, made)
    loss, terms = loss_and_terms(
        EnerSpinLoss(**ALL_ON), potential(batch, differentiable=True), batch, MAGNETIC, 1.0
    )
    assert terms["e"] == 0
    gradients = torch.autograd.grad(loss, list(potential.parameters()), allow_unused=True)
    assert all(torch.isfinite(g).all() for g in gradients if g is not None)


def test_terms_by_hand(potential):
    small, large = (
        with_random_labels(random_system(4, n_ni=1, n_o=2), seed=4),
        with_random_labels(random_system(5, n_ni=4, n_o=3), seed=5),
    )
    batch = batch_of(potential, small, large)
    out = potential(batch)
    n = torch.tensor([3.0, 7.0], dtype=torch.float64)
    delta = {name: out[name] - getattr(batch, name) for name in ("energy", "force", "force_mag", "virial")}
    _, terms = loss_and_terms(EnerSpinLoss(**ALL_ON), out, batch, MAGNETIC, 1.0)
    assert terms["e"].item() == pytest.approx((delta["energy"] ** 2 / n).mean().item())
    assert terms["fr"].item() == pytest.approx((delta["force"] ** 2).sum().item() / 30)
    magnetic = MAGNETIC[batch.types]
    assert terms["fm"].item() == pytest.approx((delta["force_mag"][magnetic] ** 2).mean().item())
    assert terms["v"].item() == pytest.approx(((delta["virial"] ** 2).mean((1, 2)) / n).mean().item())


def test_huber_is_mse_halved_below_and_mae_above(potential):
    made = with_random_labels(random_system(6), seed=6)
    _, wide = loss_of(potential, made, loss_func="huber", huber_delta=1e6)
    _, mse = loss_of(potential, made, loss_func="mse", intensive_ener_virial=True)
    _, narrow = loss_of(potential, made, loss_func="huber", huber_delta=1e-9)
    _, mae = loss_of(potential, made, loss_func="mae")
    for name in ("e", "fr", "fm", "v"):
        assert wide[name].item() == pytest.approx(mse[name].item() / 2)
        assert narrow[name].item() / 1e-9 == pytest.approx(mae[name].item(), rel=1e-6)


def in_parts(transverse, longitudinal, **options):
    """The loss of the magnetic force alone, in its parts."""
    off = {f"{end}_pref_{name}": 0.0 for end in ("start", "limit") for name in ("e", "fr", "fm")}
    ends = {f"{end}_pref_fm_transverse": transverse for end in ("start", "limit")}
    ends |= {f"{end}_pref_fm_longitudinal": longitudinal for end in ("start", "limit")}
    return EnerSpinLoss(**(off | ends | options))


def test_the_parts_of_the_magnetic_force_make_the_whole(potential):
    made = with_random_labels(random_system(8), seed=8)
    made.spin[0, 0] = 0.0  # all of its force is across
    batch = batch_of(potential, made)
    out = potential(batch)
    _, whole = loss_and_terms(EnerSpinLoss(**ALL_ON), out, batch, MAGNETIC, 0.5)
    loss, parts = loss_and_terms(in_parts(3.0, 3.0), out, batch, MAGNETIC, 0.5)
    assert set(parts) == {"fm_transverse", "fm_longitudinal"}
    assert sum(parts.values()).item() == pytest.approx(whole["fm"].item(), rel=1e-12)
    assert loss.item() == pytest.approx(3.0 * whole["fm"].item(), rel=1e-12)


def test_each_part_sees_its_direction_alone(potential):
    batch = batch_of(potential, with_random_labels(random_system(9), seed=9))
    out = potential(batch)
    along = 0.1 * batch.spin
    across = torch.linalg.cross(batch.spin, torch.ones_like(batch.spin))
    for part, blind, other in (("transverse", along, across), ("longitudinal", across, along)):
        loss = in_parts(float(part == "transverse"), float(part == "longitudinal"))
        before, same, changed = (
            loss_and_terms(loss, prediction, batch, MAGNETIC, 0.5)[0].item()
            for prediction in ({**out, "force_mag": out["force_mag"] + move} for move in (0.0, blind, other))
        )
        assert same == pytest.approx(before, rel=1e-12)
        assert abs(changed - before) > 1e-3


def test_only_the_prefactors_that_are_on_are_shown():
    assert list(EnerSpinLoss().prefactors_at(0.5)) == ["e", "fr", "fm", "v"]
    assert list(in_parts(1.0, 0.0).prefactors_at(0.5)) == ["e", "fr", "fm", "fm_transverse", "v"]


def test_a_term_with_one_prefactor_is_on():
    loss = EnerSpinLoss(start_pref_fr=0.0, limit_pref_fr=1.0, start_pref_fm=0.0, limit_pref_fm=0.0)
    assert loss.active == ["e", "fr"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss_func": "rmse"}, "mse, mae or huber"),
        ({"start_pref_e": -1.0}, "not negative"),
        ({"limit_pref_fm": float("nan")}, "finite"),
        ({"loss_func": "huber", "huber_delta": 0.0}, "positive"),
        ({"start_pref_fm_transverse": 1.0}, "start_pref_fm=0"),
        ({"label_scale_fm": -0.8}, "a number > 0"),
        ({"label_scale_fm": "auto"}, "or learned"),
        ({"label_scale_fm": 0.8, "start_pref_fm": 0.0, "limit_pref_fm": 0.0}, "no magnetic force"),
        (
            {f"{end}_pref_{name}": 0.0 for end in ("start", "limit") for name in ("e", "fr", "fm", "v")},
            "zero",
        ),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(InputError, match=message):
        EnerSpinLoss(**options)


def test_loss_does_not_depend_on_the_order_of_frames(potential):
    frames = [with_random_labels(random_system(k, n_ni=k + 1, n_o=2), seed=k) for k in range(3)]
    one, _ = loss_of(potential, *frames)
    other, _ = loss_of(potential, *reversed(frames))
    assert one.item() == pytest.approx(other.item(), rel=1e-12)


def test_a_process_without_frames_has_zero_gradients(potential):
    batch = batch_of(potential)
    assert batch.n_frames == 0
    totals, counts = EnerSpinLoss(**ALL_ON).sums(potential(batch, differentiable=True), batch, MAGNETIC)
    assert not totals.any()
    assert not counts.any()
    gradients = torch.autograd.grad(totals.sum(), list(potential.parameters()), allow_unused=True)
    assert not any(g is not None and g.any() for g in gradients)
