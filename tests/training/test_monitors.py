"""Monitored quantities of callbacks and sweeps, and errors before the first step."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from spinpot.core.errors import InputError
from spinpot.loss.ener_spin import EnerSpinLoss
from spinpot.training.checks import check_monitors
from spinpot.training.finish import optimized_metric
from spinpot.training.run import train
from support.configs import composed
from support.folders import labelled_by_a_potential, write_npy


def test_scaled_errors_can_be_waited_for_where_there_is_a_scale():
    callbacks = {"checkpoint": SimpleNamespace(monitor="val/rmse_fm_scaled")}
    check_monitors(callbacks, EnerSpinLoss(label_scale_fm=0.8))
    with pytest.raises(InputError, match=r"callbacks.checkpoint.monitor=val/rmse_fm_scaled"):
        check_monitors(callbacks, EnerSpinLoss())


@pytest.fixture
def data(tmp_path):
    """Training frames with every label; validation frames without virial, and Ni without moments."""
    without = replace(labelled_by_a_potential(2, 3), virial=None, spin=np.zeros((3, 5, 3)))
    folders = {"train": labelled_by_a_potential(1, 4), "validation": without}
    given = [f"data.{name}=[{write_npy(tmp_path / name, made)}]" for name, made in folders.items()]
    return ["data=npy", *given, "debug=fast", "report=false", "trainer.enable_progress_bar=false"]


EARLY = "callbacks=[default,early_stopping]"
REFUSED = {
    "callbacks.checkpoint.monitor=val/rmse_v": "the validation data have no virial",
    "callbacks.early_stopping.monitor=val/rmse_v": "the validation data have no virial",
    "optimized_metric=mae_v": "the validation data have no virial",
    "callbacks.checkpoint.monitor=val/rmse_fm_transverse": (
        "the validation data have no magnetic force on an atom with a moment"
    ),
}


@pytest.mark.parametrize("setting", REFUSED)
def test_a_quantity_without_labels_is_refused_before_the_first_step(data, tmp_path, setting):
    with pytest.raises(InputError) as refused:
        train(composed(*data, EARLY, setting), tmp_path / "run")
    assert str(refused.value) == f"{setting}: {REFUSED[setting]}. Choose another quantity, e.g. the score."
    assert not (tmp_path / "run").exists()


def test_a_score_of_labels_that_never_vary_is_refused(tmp_path):
    one = replace(labelled_by_a_potential(1, 1), force=None, force_mag=None, virial=None)
    folder = write_npy(tmp_path / "one", one)
    config = composed(
        "data=npy", f"data.train=[{folder}]", f"data.validation=[{folder}]", "debug=fast", "report=false"
    )
    with pytest.raises(InputError) as refused:
        train(config, tmp_path / "run")
    assert str(refused.value) == (
        "callbacks.checkpoint.monitor=val/score: there is no score, because no label in the loss varies in "
        "the validation or the training data. Choose another quantity, e.g. val/loss, or add frames."
    )


def test_what_a_sweep_minimises():
    labels = {"rmse_e": 0.1, "rmse_fr": 0.1, "rmse_v": None}
    val = {"score": None, "rmse_e": 0.5, "rmse_fr": None, "rmse_v": None}
    summary = {"val": val, "baselines": {"val": {"labels_spread": labels}}}
    assert optimized_metric("score", {}) is None
    assert optimized_metric("rmse_e", summary) == 0.5
    for name in ("score", "rmse_fr"):
        assert optimized_metric(name, summary) == np.inf, "the model's error is no number"
    with pytest.raises(InputError, match="optimized_metric=mae_v: the validation data have no virial"):
        optimized_metric("mae_v", summary)
