"""The least-squares fit of the linear part."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from spinpot.core.quantities import QUANTITIES
from spinpot.loss.ener_spin import EnerSpinLoss
from spinpot.models.native_spin import fit
from spinpot.models.native_spin.potential import NativeSpin, energy_scale
from spinpot.models.native_spin.rows import design
from support.frames import batch_of, evaluate, random_system, with_random_labels
from support.labels import labelled, labelled_by, labels_for
from support.losses import loss_and_terms
from support.native_spin import native_under, small_native

UNLIKE = random_system(seed=11, n_frames=4, n_ni=4, n_o=1)
LOSSES = {
    "whole": {},
    "parts": {"fm": 0.0, "fm_transverse": 2.0, "fm_longitudinal": 5.0, "v": 0.3},
    "scaled": {"label_scale_fm": 0.5},
    "intensive": {"intensive_ener_virial": True, "v": 0.3},
}


def fresh(**settings) -> NativeSpin:
    """A linear potential that knows nothing."""
    potential = native_under(small_native(neuron=(), **settings))
    potential.begin_at_zero()
    potential.energy_bias.zero_()
    return potential


def loss_of(**settings) -> EnerSpinLoss:
    given = {"e": 3.0, "fr": 1.0, "fm": 2.0} | settings
    prefactors = {f"limit_pref_{name}": given.pop(name) for name in ("e", "fr", "fm", "v") if name in given}
    parts = {name: given.pop(name) for name in list(given) if name.startswith("fm_")}
    prefactors |= {f"limit_pref_{name}": value for name, value in parts.items()}
    start = {"start_pref_fm": 0.0} if parts else {}
    return EnerSpinLoss(**start, **prefactors, **given)


@pytest.mark.parametrize("settings", LOSSES.values(), ids=LOSSES)
def test_the_least_of_the_loss_at_its_limits(monkeypatch, settings):
    """No weight and no energy of an element changes the loss of all frames to first order."""
    monkeypatch.setattr(fit, "RIDGE", 1e-13)
    loss, potential = loss_of(**settings), fresh()
    lacking = with_random_labels(random_system(4, 3, n_ni=2, n_o=4), 1, only=("energy", "force_mag"))
    systems = with_random_labels(random_system(3, 5)), lacking
    scale = torch.tensor([0.5, 1.0]).double() if loss.label_scale_fm else None
    prefactors = dict(zip(loss.active, loss.active_prefactors(0.0), strict=True))
    given = labels_for(potential, *systems, prefactors=prefactors, power=loss.penalty.power, scale=scale)

    def slopes() -> list[float]:
        potential.linear.requires_grad_()
        bias = potential.energy_bias.clone().requires_grad_()
        batch = batch_of(potential, *systems)
        prediction = potential(batch, differentiable=True)
        known = prediction["energy"] + 0.0 * bias.sum()
        shift = torch.zeros_like(known).index_add(0, batch.frame, (bias - bias.detach())[batch.types])
        whole = loss_and_terms(
            loss, prediction | {"energy": known + shift}, batch, potential.invariants.magnetic, 0.0, scale
        )[0]
        return [float(g.norm()) for g in torch.autograd.grad(whole, (potential.linear, bias))]

    before = slopes()
    potential.start(given)
    for after, first in zip(slopes(), before, strict=True):
        assert after < 1e-6 * first


def test_what_a_linear_potential_made_is_found_again(monkeypatch):
    monkeypatch.setattr(fit, "RIDGE", 1e-14)
    truth, potential = native_under(small_native(neuron=())), fresh()
    assert potential.start(labels_for(potential, labelled(truth, 20), labelled_by(truth, UNLIKE))) == []
    unseen = random_system(seed=9)
    wanted, found = evaluate(truth, unseen), evaluate(potential, unseen)
    for name in ("energy", "force", "force_mag", "virial"):
        spread = np.abs(wanted[name]).max()
        np.testing.assert_allclose(found[name], wanted[name], atol=1e-4 * spread, rtol=0, err_msg=name)


def test_an_invariant_that_never_changes_gets_no_weight():
    potential = fresh()
    silent = potential.invariants.scale == 0.0
    assert silent.any()
    potential.start(labels_for(potential, with_random_labels(random_system(3, 6))))
    assert potential.linear[~silent].all()
    assert not potential.linear[silent].any()


def test_a_ridge_keeps_small_what_the_labels_do_not_tell(monkeypatch):
    """One frame cannot tell all weights apart."""
    sizes = []
    for ridge in (1e-12, 1e-6, 1e-2):
        monkeypatch.setattr(fit, "RIDGE", ridge)
        potential = fresh()
        potential.start(labels_for(potential, with_random_labels(random_system(3, 1))))
        sizes.append(float(potential.linear.norm()))
    assert sizes[0] > 3 * sizes[1] > 9 * sizes[2]


def test_frames_one_by_one_are_as_all_at_once(monkeypatch):
    frames = with_random_labels(random_system(3, 7))
    found = []
    for at_once in (1, 3, 100):
        monkeypatch.setattr(fit, "AT_ONCE", at_once)
        potential = fresh()
        potential.start(labels_for(potential, frames))
        found.append(evaluate(potential, frames)["force"])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(found[2], found[0], rtol=1e-6, atol=1e-8)


def test_a_broken_frame_is_named_and_left_out():
    truth, noise = native_under(small_native(neuron=())), np.random.default_rng(0)
    frames = labelled(truth, 40)
    frames.force_mag[:] += 1e-3 * noise.normal(size=frames.spin.shape)
    right = fresh()
    assert right.start(labels_for(right, frames)) == []
    frames.force_mag[7] *= -1.0
    wrong = fresh()
    (line,) = wrong.start(labels_for(wrong, frames))
    assert line.startswith(
        "look: least squares: random3 frame 7 has the weight 0: the rmse of its magnetic force, "
    )
    unseen = random_system(seed=9)
    wanted, found = (evaluate(potential, unseen)["force_mag"] for potential in (truth, wrong))
    assert np.abs(found - wanted).max() < 0.01 * np.abs(wanted).max()


def test_a_frame_counts_whatever_its_labels_that_the_loss_has_not():
    frames = labelled(native_under(small_native(neuron=())), 40)
    frames.force[7] *= -1.0
    frames.virial[8] *= -1.0
    potential = fresh()
    assert potential.start(labels_for(potential, frames, prefactors={"e": 1.0, "fm": 1.0, "v": 0.0})) == []
    (line,) = potential.start(labels_for(potential, frames, prefactors={"fr": 1.0}))
    assert "frame 7 has the weight 0: the rmse of its force" in line


def test_a_frame_is_named_for_the_error_for_which_it_counts_less():
    """Not for one of more medians that is a small part of its labels."""
    errors = torch.ones(40, 2).double()
    errors[7] = torch.tensor([900.0, 30.0])
    labels = torch.tensor([[1e5, 10.0]]).double().expand(40, -1)
    left, frames = fit.Left(errors, labels), random_system(3, 40)
    places = [(frames, n) for n in range(40)]
    (line,) = fit._outliers(places, left.weights(), left, [QUANTITIES["e"], QUANTITIES["fr"]])
    assert "frame 7 has the weight 0: the rmse of its force" in line


def test_many_unlike_frames_are_no_outliers():
    """Of a tenth of the frames that are all as much off none is left out."""
    errors = torch.ones(40, 5).double()
    errors[::10] = 30.0
    assert (fit.Left(errors, errors).weights() == 1.0).all()
    errors[1:] = 1.0
    assert fit.Left(errors, errors).weights().tolist() == [0.0, *([1.0] * 39)]


@pytest.mark.parametrize(("frames", "weight"), [(1, 1.0), (19, 1.0), (20, 0.0), (21, 0.0)])
def test_a_broken_one_of_few_frames(frames, weight):
    """Of fewer than twenty frames one may be unlike the others by chance."""
    errors = torch.ones(frames, 5).double()
    errors[-1, 0] = 30.0
    assert fit.Left(errors, errors).weights().tolist() == [*[1.0] * (frames - 1), weight]


def test_a_sample_of_many_frames():
    frames = with_random_labels(random_system(3, 12))
    potential = fresh()
    potential.spec = replace(potential.spec, fit_frames=5)
    (line,) = potential.start(labels_for(potential, frames))
    assert line.startswith("Least squares on 5 of the 12 training frames")
    every = fresh()
    every.spec = replace(every.spec, fit_frames="all")
    assert every.start(labels_for(every, frames)) == []


def test_the_normal_matrix_is_of_labels_in_units_of_their_noise():
    potential = fresh()
    frames = with_random_labels(random_system(3, 6), only=("force_mag",))
    potential.start(labels_for(potential, frames))
    batch = batch_of(potential, frames)
    magnetic = potential.invariants.magnetic[batch.types]
    rows = float(potential.energy_scale) * design(potential.invariants, batch).force_mag[magnetic].flatten(
        0, 1
    )
    left = (potential(batch)["force_mag"] - batch.force_mag)[magnetic]
    wanted = rows.T @ rows / left.square().mean()
    root = torch.linalg.inv(potential.expected_errors.whitening)
    found = (root.mT @ root)[:-2, :-2]
    torch.testing.assert_close(
        found, wanted + fit.RIDGE * wanted.diagonal().max() * torch.eye(len(wanted)).double()
    )


def test_the_linear_part_is_fitted_to_what_the_exchange_term_leaves():
    truth = small_native(neuron=(), exchange=("bilinear", "landau"))
    frames = labelled(truth, 40)
    potential = small_native(neuron=(), exchange=("bilinear", "landau"), seed=1)
    native_under(potential).begin_at_zero()
    potential.start(labels_for(potential, frames))

    wanted, found = evaluate(truth, frames)["force"], evaluate(potential, frames)["force"]
    native_under(potential).begin_at_zero()
    without = evaluate(potential, frames)["force"]
    assert np.abs(found - wanted).mean() < 0.5 * np.abs(without - wanted).mean()


def test_an_exchange_term_alone_leaves_nothing():
    truth = small_native(neuron=(), exchange=("bilinear", "landau"))
    native_under(truth).begin_at_zero()
    potential = small_native(neuron=(), exchange=("bilinear", "landau"))
    frames = labelled(truth, 40)
    potential.start(labels_for(potential, frames))
    wanted, found = evaluate(truth, frames), evaluate(potential, frames)
    for name in ("energy", "force", "force_mag", "virial"):
        assert np.abs(found[name] - wanted[name]).max() < 0.01 * wanted[name].std()


@pytest.mark.parametrize("exchange", [(), ("bilinear",)])
def test_the_energy_bias_is_fitted_again_at_the_end(exchange):
    potential = small_native(exchange=exchange)
    other = labelled_by(potential, random_system(5, 3, n_ni=2, n_o=4))
    wanted = potential.energy_bias.clone()
    given = labels_for(potential, labelled(potential), other)
    potential.energy_bias.add_(torch.tensor([0.3, -0.2]))
    potential.end(given)
    torch.testing.assert_close(potential.energy_bias, wanted)


def test_a_broken_energy_does_not_shift_the_others_at_the_end():
    potential = small_native()
    frames = labelled(potential, 40)
    frames.energy[:] += 1e-3 * np.random.default_rng(0).normal(size=40)
    frames.energy[7] += 1000.0
    wanted = potential.energy_bias.clone()
    potential.end(labels_for(potential, frames))
    assert float((potential.energy_bias - wanted).abs().max()) < 1e-3


def test_the_scale_of_energies_is_without_a_broken_one():
    frames = labelled(small_native(), 40)
    bias = np.array([frames.energy.mean() / 5.0, frames.energy.mean() / 5.0])
    wanted = energy_scale([frames], bias)
    assert wanted == pytest.approx(frames.energy.std() / np.sqrt(5.0))
    frames.energy[7] += 1000.0
    assert energy_scale([frames], bias) == pytest.approx(wanted, rel=0.1)
