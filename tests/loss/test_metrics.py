"""Errors over a set do not depend on the batches."""

import numpy as np
import pytest

from spinpot.data.dataset import FrameDataset
from spinpot.loss.baselines import dataset_errors, mean_of, spread_of
from spinpot.loss.metrics import ErrorMetric
from support.frames import batch_of, geometry, random_system, small_potential, with_random_labels


@pytest.fixture(scope="module")
def potential():
    return small_potential()


@pytest.fixture(scope="module")
def systems():
    return [
        with_random_labels(random_system(1, n_frames=3, n_ni=2, n_o=4), seed=1),
        with_random_labels(random_system(2, n_frames=4, n_ni=4, n_o=1), seed=2, only=("energy", "force")),
    ]


@pytest.fixture(scope="module")
def dataset(systems, potential):
    return FrameDataset(systems, geometry(potential.spec))


@pytest.fixture(scope="module")
def by_hand(systems, potential):
    """Every difference to the labels, computed with numpy from single evaluations."""
    deltas = {"e": [], "fr": [], "fm": [], "v": [], "fm_transverse": [], "fm_longitudinal": []}
    for made in systems:
        out = {k: v.numpy() for k, v in potential(batch_of(potential, made)).items()}
        shape = made.coord.shape
        deltas["e"].append((out["energy"] - made.energy) / made.n_atoms)
        deltas["fr"].append((out["force"].reshape(shape) - made.force).ravel())
        if made.force_mag is not None:
            magnetic = made.types == 0
            delta = (out["force_mag"].reshape(shape) - made.force_mag)[:, magnetic]
            unit = made.spin[:, magnetic] / np.linalg.norm(made.spin[:, magnetic], axis=-1, keepdims=True)
            along = (delta * unit).sum(-1, keepdims=True)
            deltas["fm"].append(delta.ravel())
            deltas["fm_longitudinal"].append(along.ravel())
            deltas["fm_transverse"].append((delta - along * unit).ravel())
            deltas["v"].append((out["virial"] - made.virial).ravel() / made.n_atoms)
    return {name: np.concatenate(parts) for name, parts in deltas.items()}


@pytest.mark.parametrize("batch_size", [1, 2, 7])
def test_errors_are_exact_for_any_batches(potential, dataset, by_hand, batch_size):
    errors = dataset_errors(potential, dataset, potential.spec.use_spin, batch_size)
    for name, delta in by_hand.items():
        assert errors[f"rmse_{name}"] == pytest.approx(np.sqrt((delta**2).mean()), rel=1e-12)
        assert errors[f"mae_{name}"] == pytest.approx(np.abs(delta).mean(), rel=1e-12)


def test_parts_of_the_magnetic_force_add_up(potential, dataset):
    errors = dataset_errors(potential, dataset, potential.spec.use_spin)
    parts = errors["rmse_fm_transverse"] ** 2 + errors["rmse_fm_longitudinal"] ** 2 / 3
    assert errors["rmse_fm"] ** 2 == pytest.approx(parts, rel=1e-12)


def test_elements(potential, dataset, systems):
    errors = dataset_errors(potential, dataset, potential.spec.use_spin)
    counts = np.array([sum((s.types == t).sum() * len(s) for s in systems) for t in (0, 1)])
    squares = counts[0] * errors["rmse_fr/Ni"] ** 2 + counts[1] * errors["rmse_fr/O"] ** 2
    assert errors["rmse_fr"] == pytest.approx(np.sqrt(squares / counts.sum()), rel=1e-12)
    assert errors["rmse_fm/Ni"] == errors["rmse_fm"]
    assert "rmse_fm/O" not in errors


def test_quantity_without_labels_is_nan(potential):
    made = with_random_labels(random_system(3), seed=3, only=("force",))
    metric = ErrorMetric(("Ni", "O"), (True, False))
    batch = batch_of(potential, made)
    metric.update(potential(batch), batch)
    errors = metric.compute()
    assert np.isnan(errors["rmse_e"])
    assert np.isfinite(errors["rmse_fr"])


def test_zero_moment_has_no_direction(potential):
    made = with_random_labels(random_system(4), seed=4)
    made.spin[0, 0] = 0.0
    metric = ErrorMetric(("Ni", "O"), (True, False))
    batch = batch_of(potential, made)
    metric.update(potential(batch), batch)
    assert all(np.isfinite(value) for value in metric.compute().values())


def test_spread_is_the_labels_own_rms(systems, dataset):
    errors = dataset_errors(spread_of(systems), dataset, (True, False))
    forces = np.concatenate([s.force.ravel() for s in systems])
    # Two compositions of two elements: what is left is the deviation from the mean of each.
    energies = np.concatenate([(s.energy - s.energy.mean()) / s.n_atoms for s in systems])
    assert errors["rmse_fr"] == pytest.approx(np.sqrt((forces**2).mean()))
    assert errors["rmse_e"] == pytest.approx(energies.std())


def test_mean_baseline(systems, dataset):
    errors = dataset_errors(mean_of(systems), dataset, (True, False))
    labels = np.concatenate([s.force[:, s.types == 0].reshape(-1, 3) for s in systems])
    assert errors["rmse_fr/Ni"] == pytest.approx(np.sqrt((labels - labels.mean(0)).__pow__(2).mean()))
