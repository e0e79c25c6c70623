"""The shares of several processes are merged in the order of the frames."""

import numpy as np
import pytest

from spinpot.data.dataset import FrameDataset
from spinpot.data.sampling import EveryFrameOnce
from spinpot.evaluation.predictor import Predictor
from spinpot.training.callbacks import wandb_report
from spinpot.training.callbacks.wandb_report import ValidationPredictions
from support.frames import random_system, small_potential

SYSTEMS = [random_system(1, 3), random_system(2, 4, n_ni=2, n_o=4)]
"""Seven frames of two sizes."""


def share(potential, dataset, rank, world_size):
    """What one of several processes collects."""
    predictions = ValidationPredictions()
    for indices in EveryFrameOnce(len(dataset), 2, rank, world_size):
        batch = dataset.batch(indices)
        predictions.add(batch, potential(batch))
    return predictions


@pytest.mark.parametrize("world_size", [1, 3, 9])
def test_all_frames_in_their_order(monkeypatch, world_size):
    potential = small_potential()
    dataset = FrameDataset(SYSTEMS, Predictor(potential).geometry)
    shares = [share(potential, dataset, rank, world_size) for rank in range(world_size)]
    if world_size > 1:
        sent = [one._frames for one in shares]
        monkeypatch.setattr(wandb_report, "_gather", lambda own: sent)
    gathered = shares[0].of_all_processes(SYSTEMS)
    for found, expected in zip(gathered, Predictor(potential).predict(SYSTEMS), strict=True):
        for name, values in expected.items():
            np.testing.assert_allclose(found[name], values, atol=1e-12, err_msg=name)


def test_none_where_frames_were_left_out():
    potential = small_potential()
    dataset = FrameDataset(SYSTEMS, Predictor(potential).geometry)
    assert share(potential, dataset, 0, 2).of_all_processes(SYSTEMS) is None
    assert ValidationPredictions().of_all_processes(SYSTEMS) is None
