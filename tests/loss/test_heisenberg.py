"""The Heisenberg baseline: what it can fit, and the frames that it is fitted to."""

import numpy as np
import pytest
import torch

from spinpot.data.dataset import FrameDataset
from spinpot.data.duplicates import copies
from spinpot.data.systems import select
from spinpot.loss.baselines import dataset_errors, spread_of
from spinpot.loss.heisenberg import fitted_to, stored_for
from support.frames import evaluate, geometry, network, random_system, small_potential, system


@pytest.fixture(scope="module")
def truth():
    potential = small_potential(exchange=("bilinear", "landau"))
    torch.nn.init.zeros_(network(potential).fitting_nets.weight)
    torch.nn.init.zeros_(network(potential).fitting_nets.bias)
    return potential


def labelled(potential, seed, frames, factor=1.0):
    made = random_system(seed, n_frames=frames)
    values = evaluate(potential, made)
    labels = {name: values[name].reshape(frames, -1, 3) for name in ("force", "force_mag")}
    labels["force_mag"] = factor * labels["force_mag"]
    return system(
        made.type_map, made.types, made.box, made.coord, made.spin, energy=values["energy"], **labels
    )


def rmse_fm(predict, frames, potential):
    dataset = FrameDataset([frames], geometry(potential.spec))
    return dataset_errors(predict, dataset, potential.spec.use_spin)["rmse_fm"]


def test_it_knows_more_than_the_mean(truth):
    train, other = labelled(truth, 1, 20), labelled(truth, 2, 5)
    found = fitted_to([train], truth.spec)
    assert rmse_fm(found.fit, other, truth) < 0.1 * rmse_fm(spread_of([other]), other, truth)
    assert found.words == (
        "Heisenberg fit: exchange J(r) between the moments within the cutoff and an energy of their lengths, "
        "without a network, fitted by least squares to the labels of 20 training frames."
    )


def test_it_predicts_labels_with_their_factor(truth):
    train, other = labelled(truth, 1, 20, factor=0.5), labelled(truth, 2, 5, factor=0.5)
    scale = torch.tensor([0.5, 1.0], dtype=torch.float64)
    knows, does_not = (fitted_to([train], truth.spec, given).fit for given in (scale, None))
    assert rmse_fm(knows, other, truth) < 0.1 * rmse_fm(does_not, other, truth)


def test_frames_that_it_is_judged_on_are_left_out_of_the_fit(truth):
    train = labelled(truth, 1, 20)
    shared = select(train, np.arange(5))
    shared.coord[:] += 1e-6  # of noise
    fit = fitted_to([train], truth.spec, found=copies([train, shared])).fit
    assert len(fit.frames) == 15
    wanted = fitted_to([select(train, np.arange(5, 20))], truth.spec).fit
    torch.testing.assert_close(fit.coefficients, wanted.coefficients)


def test_a_judged_frame_that_is_twice_among_the_training_frames_is_left_out_both_times(truth):
    train = labelled(truth, 1, 20)
    twice = select(train, np.array([*range(20), 3]))
    fit = fitted_to([twice], truth.spec, found=copies([twice, select(train, np.array([3]))])).fit
    assert len(fit.frames) == 19
    wanted = fitted_to([select(train, np.delete(np.arange(20), 3))], truth.spec).fit
    torch.testing.assert_close(fit.coefficients, wanted.coefficients)


def test_training_frames_that_are_all_judged_leave_no_fit(truth):
    train = labelled(truth, 1, 3)
    found = fitted_to([train], truth.spec, found=copies([train, labelled(truth, 1, 3)]))
    assert found.fit is None
    assert found.words == (
        "Heisenberg fit: left out, since every training frame is also in the validation or test set."
    )


def test_fewer_labels_than_coefficients_are_no_fit(truth):
    made = labelled(truth, 1, 3)
    energies = system(made.type_map, made.types, made.box, made.coord, made.spin, energy=made.energy)
    found = fitted_to([energies], truth.spec)
    assert found.fit is None
    assert found.words.endswith("coefficients would be fitted to 3 labels.")


def test_a_checkpoint_keeps_it(truth):
    train, other = labelled(truth, 1, 20, factor=0.5), labelled(truth, 2, 5)
    scale = torch.tensor([0.5, 1.0], dtype=torch.float64)
    fit = fitted_to([train], truth.spec, scale).fit
    again = stored_for(fit.as_dict(), [other], truth.spec).fit
    assert rmse_fm(again, other, truth) == rmse_fm(fit, other, truth)
    seen = stored_for(fit.as_dict(), [other, select(train, np.arange(2))], truth.spec)
    assert seen.fit is None
    assert seen.words == "Heisenberg fit: left out, since it was fitted to 2 of these frames."
    assert stored_for(None, [other], truth.spec).fit is None
