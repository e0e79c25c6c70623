"""Native spins are initialised by least squares, and need no training steps after that."""

import json

import numpy as np
import pytest
import torch

from spinpot.data.systems import read_systems
from spinpot.models.files import read_model
from spinpot.models.native_spin.potential import NativeSpin
from support.cli import run_script
from support.folders import labelled_by_a_potential, write_npy
from support.frames import evaluate
from support.in_process import run_here, the_message

FEW = "+model.descriptor.channels={density: 3, direction: 2, moment: 2, moment_square: 2}"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    train = [
        write_npy(folder / "small", labelled_by_a_potential(1, 7)),
        write_npy(folder / "other", labelled_by_a_potential(2, 4, n_ni=2, n_o=4)),
    ]
    validation = write_npy(folder / "validation", labelled_by_a_potential(3, 5))
    return [
        *("model=native_spin", "data=npy", f"data.train=[{','.join(map(str, train))}]"),
        *(f"data.validation=[{validation}]", "model.descriptor.cutoff=4.0", FEW, "report=false"),
    ]


def trained(small, folder, *more, **options):
    return run_script("train.py", *small, f"hydra.run.dir={folder}", *more, **options)


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


def bias_left(small, folder) -> np.ndarray:
    """The energies per element that the last checkpoint's errors on the training frames ask for."""
    potential = read_model(folder / "checkpoints" / "last.ckpt").potential
    systems = read_systems(small[2].removeprefix("data.train=[").removesuffix("]").split(","), ("Ni", "O"))
    errors = evaluate(potential, *systems)["energy"] - np.concatenate([system.energy for system in systems])
    counts = np.concatenate([[np.bincount(system.types, minlength=2)] * len(system) for system in systems])
    root = np.sqrt(counts.sum(axis=1))
    return np.linalg.lstsq(counts / root[:, None], errors / root, rcond=None)[0]


def test_a_training_that_makes_the_start_worse(small, tmp_path):
    trained(small, tmp_path / "start", "trainer.max_steps=0")
    steps = (
        "trainer.max_steps=3",
        "trainer.val_check_interval=1",
        "scheduler.start_lr=1",
        "scheduler.stop_lr=0.1",
    )
    said = trained(small, tmp_path / "worse", *steps).stdout
    start, worse = summary(tmp_path / "start"), summary(tmp_path / "worse")
    assert worse["steps"] == 3
    assert worse["checkpoint"] == {"file": "best.ckpt", "step": 0}
    assert worse["val"] == pytest.approx(start["val"])
    assert "the best checkpoint is the least-squares fit before the first step" in said
    last = torch.load(tmp_path / "worse" / "checkpoints" / "last.ckpt", weights_only=True)
    (saver,) = (own for own in last["callbacks"].values() if own.get("monitor") == "val/score")
    assert float(saver["best_model_score"]) == pytest.approx(start["val"]["score"])


def test_a_training_that_makes_the_start_better(small, tmp_path):
    """The frames of the validation are those of the training, whose errors fall."""
    folders = small[2].removeprefix("data.train=")
    steps = ("trainer.max_steps=40", "trainer.val_check_interval=40", "scheduler.start_lr=1e-3")
    said = trained(small, tmp_path, f"data.validation={folders}", *steps).stdout
    assert summary(tmp_path)["checkpoint"]["step"] == 40
    assert "the best checkpoint is the least-squares fit" not in said


def test_a_run_without_steps(small, tmp_path):
    said = trained(small, tmp_path, "trainer.max_steps=0").stdout
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    found = summary(tmp_path)
    assert found["steps"] == 0
    energy = f"validation rmse E {1000 * found['val']['rmse_e']:.3f} meV/atom"
    assert f"Fitted by least squares, before training: {energy}" in said
    assert f"step      0: {energy}" in said
    assert "ranks is zero" not in said
    assert (tmp_path / "metrics.csv").read_text().splitlines()[1].startswith("0,")
    # Steps may follow.
    more = trained(
        small, tmp_path, "trainer.max_steps=2", "trainer.val_check_interval=1", "resume=auto"
    ).stdout
    assert "Fitted by least squares" not in more
    assert summary(tmp_path)["steps"] == 2
    weights = [
        torch.load(path, weights_only=True)["state_dict"]["potential.linear"]
        for path in (tmp_path / "checkpoints").iterdir()
    ]
    assert torch.equal(*weights)


@pytest.mark.parametrize("callbacks", [[], ["callbacks=ema"]], ids=["last", "averaged"])
def test_the_last_weights_get_an_energy_bias_of_their_own(small, tmp_path, callbacks):
    steps = ["trainer.max_steps=4", "trainer.val_check_interval=2", *callbacks]
    trained(small, tmp_path, *steps, "scheduler.start_lr=0.1", "scheduler.stop_lr=0.1")
    assert np.abs(bias_left(small, tmp_path)).max() < 1e-9


def test_the_end_knows_the_label_scale_that_was_learned(small, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(NativeSpin, "end", lambda _, labels: seen.append(labels.scale))
    run_here("train.py", *small, "loss.label_scale_fm=learned", "trainer.max_steps=2", cwd=tmp_path)
    (scale,) = seen
    assert scale[0] != 1.0 == scale[1]


def test_without_nets_and_steps(small, tmp_path):
    linear = [*small, "model.fitting_net.neuron=[]", f"hydra.run.dir={tmp_path}"]
    message = the_message(run_here("train.py", *linear, "trainer.max_steps=2", cwd=tmp_path))
    assert "trainer.max_steps=2, but this model has no parameters to train" in message
    run_script(
        "train.py", *linear, "trainer.max_steps=2", "model.linear=free", "trainer.val_check_interval=1"
    )
    assert summary(tmp_path)["model"]["parameters"] > 0


def test_a_loss_without_limits_has_no_least_squares(small, tmp_path):
    none = [f"loss.limit_pref_{name}=0" for name in ("e", "fr", "fm")]
    message = the_message(run_here("train.py", *small, *none, "trainer.max_steps=2", cwd=tmp_path))
    assert "every limit prefactor is zero" in message


def test_an_exchange_term_alone_needs_no_step_either(small, tmp_path):
    exchange = ["model=spin", "model/exchange=heisenberg", "model.descriptor.rcut=4.0"]
    given = [word for word in small if not word.lstrip("+").startswith("model")]
    run_script(
        "train.py", *given, *exchange, "debug=fast", "trainer.max_steps=0", f"hydra.run.dir={tmp_path}"
    )
    assert summary(tmp_path)["steps"] == 0
