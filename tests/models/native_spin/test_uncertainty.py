"""The errors expected by a native-spin model are similar to its actual errors."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from spinpot.core.conventions import EXPECTED
from spinpot.core.errors import InputError
from spinpot.data.dataset import FrameDataset
from spinpot.evaluation.expected import expected_errors
from spinpot.evaluation.predictor import Predictor
from support.frames import random_system, small_potential
from support.native_spin import (
    calibrated_native,
    fitted_native,
    native_under,
    nio_system,
    small_native,
)

PREFACTORS = {"e": 100.0, "fr": 100.0, "fm": 1000.0, "v": 1.0}
INSIDE = (0.002, 0.002), (0.0, 10.0)
OUTSIDE = (0.002, 0.04), (10.0, 75.0)
SMALL = {"groups": ("density", "angle", "length", "exchange"), "channels": {"density": 12, "direction": 6}}


@pytest.fixture(scope="module")
def training():
    return nio_system(24, *INSIDE, 1)


@pytest.fixture(scope="module")
def potential(training):
    return fitted_native(training, PREFACTORS, **SMALL)


def expected(potential, system):
    predictions = Predictor(potential)([system], uncertainty=True)
    return expected_errors([system], predictions, potential.spec.use_spin)


@pytest.mark.parametrize("quantity", ["e", "fr", "fm"])
def test_about_two_thirds_of_the_errors_of_other_frames_are_within_sigma(potential, quantity):
    found = expected(potential, nio_system(40, *INSIDE, 2))[quantity]
    assert 0.55 <= found.within <= 0.8


@pytest.mark.parametrize("quantity", ["e", "fr"])
def test_sigma_sorts_outside_frames_by_their_errors(potential, quantity):
    found = expected(potential, nio_system(40, *OUTSIDE, 3))[quantity]
    assert found.rank_correlation >= 0.6


def test_labels_that_are_multiples_are_compared_as_such(potential):
    system = nio_system(3, *INSIDE, 2)
    predictions = Predictor(potential)([system], uncertainty=True)
    wanted = expected_errors([system], predictions, potential.spec.use_spin)["fm"]
    tripled = replace(system, force_mag=3.0 * system.force_mag)
    found = expected_errors([tripled], predictions, potential.spec.use_spin, (3.0, 1.0))["fm"]
    assert found.within == wanted.within
    np.testing.assert_allclose(found.error, wanted.error)


def test_the_leverage_is_one_in_training_frames_and_more_outside(potential, training):
    predictor = Predictor(potential)
    inside = predictor(training, uncertainty=True)
    outside = predictor(nio_system(6, *OUTSIDE, 3), uncertainty=True)
    assert 0.8 < inside.leverage.mean() < 3.0  # of the larger one of two numbers whose means are 1
    assert outside.leverage.mean() > 10.0 * inside.leverage.mean()


def test_whitening_is_a_root_of_the_inverse_of_the_normal_matrix():
    uncertainty = native_under(small_native()).expected_errors
    rows = torch.randn(200, len(uncertainty.whitening), generator=torch.Generator().manual_seed(1)).double()
    normal = rows.T @ rows
    uncertainty.settle(normal)
    whitening = uncertainty.whitening
    torch.testing.assert_close(whitening @ whitening.T @ normal, torch.eye(len(normal)).double())


def test_sigma_grows_with_the_leverage_from_the_noise():
    potential = native_under(calibrated_native())
    batch = FrameDataset([random_system(1, 2)], potential.spec.geometry).batch(range(2))
    before = potential.uncertainty(batch)
    potential.expected_errors.usual.mul_(1e12)
    at_home = potential.uncertainty(batch)
    assert (at_home["leverage"] < 1e-6).all()
    for name, noise in zip(("energy", "force", "force_mag"), potential.expected_errors.noise, strict=True):
        sigma = at_home[f"{name}_sigma"]
        magnetic = potential.invariants.magnetic[batch.types] if name == "force_mag" else sigma == sigma
        torch.testing.assert_close(sigma[magnetic], noise.expand_as(sigma[magnetic]))
        assert (before[f"{name}_sigma"][magnetic] > sigma[magnetic]).all()
        assert not sigma[~magnetic].any()


def test_shapes_and_batching():
    potential = calibrated_native()
    dataset = FrameDataset([random_system(1, 3)], potential.spec.geometry)
    together, third = (
        potential.uncertainty(dataset.batch(range(3))),
        potential.uncertainty(dataset.batch([2])),
    )
    assert {name: values.shape for name, values in together.items()} == {
        name: (3,) if name == "energy_sigma" else (15,) for name in EXPECTED
    }
    for name, values in third.items():
        torch.testing.assert_close(together[name][-len(values) :], values)


def test_a_model_that_was_not_fitted_does_not_know_its_errors():
    system = random_system(1)
    for potential in (small_native(), small_potential()):
        batch = FrameDataset([system], potential.spec.geometry).batch([0])
        assert potential.uncertainty(batch) is None
        with pytest.raises(InputError, match="does not know its errors"):
            Predictor(potential)(system, uncertainty=True)


def test_wrappers_hand_it_through():
    bare, wrapped = calibrated_native(), calibrated_native(exchange=("heisenberg",))
    batch = FrameDataset([random_system(1)], bare.spec.geometry).batch([0])
    for name, values in bare.uncertainty(batch).items():
        torch.testing.assert_close(wrapped.uncertainty(batch)[name], values)
    torch.testing.assert_close(wrapped.features(batch), bare.features(batch))


def test_another_order_of_the_elements_changes_nothing():
    potential = calibrated_native()
    other = potential.reordered(("O", "Ni"))
    system = random_system(1)
    found = [Predictor(one)([system], uncertainty=True)[0] for one in (potential, other)]
    for name in EXPECTED:
        np.testing.assert_allclose(found[1][name], found[0][name], rtol=1e-9)


@pytest.mark.parametrize("made", [small_native, small_potential])
def test_features_are_of_atoms_and_do_not_turn(made):
    potential = made()
    system = random_system(1, 2)
    turned = random_system(1, 2)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    rotation *= np.linalg.det(rotation)
    for array in (turned.box, turned.coord, turned.spin):
        array[:] = array @ rotation.T
    features = [
        potential.features(FrameDataset([one], potential.spec.geometry).batch(range(2)))
        for one in (system, turned)
    ]
    assert len(features[0]) == 10
    torch.testing.assert_close(features[1], features[0], rtol=1e-8, atol=1e-8)
    assert (features[0][0] - features[0][1]).abs().max() > 1e-3


@pytest.mark.parametrize("exchange", [(), ("bilinear",)])
def test_drawn_models_spread_as_sigma_says(exchange):
    """σ² = noise² + the spread of the linear part; on average over the three components of each atom."""
    potential, frames = calibrated_native(exchange=exchange), random_system(1)
    given = Predictor(potential)(frames, uncertainty=True)
    before = given.force_mag.copy()
    generator = torch.Generator().manual_seed(3)
    drawn = [Predictor(potential.drawn(generator))(frames).force_mag for _ in range(400)]
    spread = np.sqrt(np.square(np.array(drawn) - before).mean(axis=(0, -1)))
    noise = float(native_under(potential).expected_errors.noise[2])
    magnetic = given.force_mag_sigma > 0.0
    assert magnetic.any()
    expected = np.sqrt(np.square(given.force_mag_sigma[magnetic]) - noise**2)
    np.testing.assert_allclose(spread[magnetic], expected, rtol=0.15)
    np.testing.assert_array_equal(Predictor(potential)(frames).force_mag, before)


def test_nothing_is_drawn_from_a_model_that_does_not_know_its_errors():
    generator = torch.Generator()
    assert small_potential().drawn(generator) is None
    assert small_native().drawn(generator) is None
