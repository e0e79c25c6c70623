"""Stored checkpoints of earlier formats predict and resume as before."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

import spinpot
from spinpot.core.errors import InputError
from spinpot.models.checkpoint import FORMAT, read_checkpoint
from spinpot.models.deepspin.potential import DeepSpin
from spinpot.models.exchange.wrapper import WithExchange
from spinpot.models.native_spin.potential import NativeSpin
from spinpot.models.time_reversal import TimeReversed
from support.checkpoints import load_potential
from support.frames import random_system
from support.in_process import run_here
from support.stored_native_spin import files

STORED = Path(__file__).parent / "stored"
WRAPPERS = {
    "plain": [DeepSpin],
    "exchange": [WithExchange, DeepSpin],
    "reversal": [TimeReversed, DeepSpin],
    "both": [WithExchange, TimeReversed, DeepSpin],
}


def layers(potential):
    """The classes from the outermost wrapper to the model."""
    found = [type(potential)]
    while hasattr(potential, "inner"):
        potential = potential.inner
        found.append(type(potential))
    return found


@pytest.mark.filterwarnings("ignore:spinpot.load")
@pytest.mark.parametrize("name", WRAPPERS)
def test_format_5_predicts_as_then(name):
    predictor = spinpot.load(STORED / f"format5_{name}.ckpt")
    assert layers(predictor.potential) == WRAPPERS[name]
    found = predictor(random_system(3, n_frames=2, edge=4.2))
    with np.load(STORED / "format5.npz") as then:
        for quantity, values in found.items():
            np.testing.assert_allclose(values, then[f"{name}/{quantity}"], rtol=1e-12, atol=1e-12)


@pytest.mark.filterwarnings("ignore:spinpot.load")
def test_model_files_of_format_1_predict_as_then():
    """What `spinpot convert` made of format5_both.ckpt."""
    predictor = spinpot.load(STORED / "model_file1.safetensors")
    assert layers(predictor.potential) == WRAPPERS["both"]
    found = predictor(random_system(3, n_frames=2, edge=4.2))
    with np.load(STORED / "format5.npz") as then:
        for quantity, values in found.items():
            np.testing.assert_allclose(values, then[f"both/{quantity}"], rtol=1e-12, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain", "both"])
def test_format_5_resumes(name, tmp_path):
    stored = STORED / f"format5_{name}.ckpt"
    config = torch.load(stored, weights_only=True)["spinpot"]["config"]
    options = [
        "model.descriptor.rcut=3.0",
        "model.descriptor.neuron=[2,4]",
        "model.descriptor.axis_neuron=2",
        "model.fitting_net.neuron=[4]",
        "data.batch_size=1",
        "trainer.max_steps=3",
        "trainer.val_check_interval=1",
        f"model.spin.time_reversal={config['model']['spin']['time_reversal']}",
    ]
    if name == "both":
        options += ["model/exchange=heisenberg", "model.exchange.n_radial=3", "loss.label_scale_fm=learned"]
    result = run_here(
        "train.py", *options, f"resume={stored}", f"hydra.run.dir={tmp_path / 'run'}", cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    assert "cache" not in result.stdout, "no change that a user must know of"
    last = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    assert last["spinpot"]["format"] == FORMAT
    assert last["global_step"] == 3
    steps = [state["step"] for state in last["optimizer_states"][0]["state"].values()]
    assert [int(step) for step in steps] == [3] * len(steps)


@pytest.mark.parametrize("version", range(1, NativeSpin.version + 1))
def test_native_spins_predict_as_then(version):
    checkpoint, numbers = files(version)
    if not checkpoint.exists():
        pytest.skip(f"{checkpoint.name} is written when the stored form of the model is settled")
    predictor = spinpot.load(checkpoint)
    assert layers(predictor.potential) == [WithExchange, NativeSpin]
    with np.load(numbers) as then:
        for quantity, values in predictor(random_system(3, n_frames=2, edge=4.2)).items():
            np.testing.assert_allclose(
                values.reshape(then[quantity].shape), then[quantity], rtol=1e-12, atol=1e-12
            )


def test_only_known_models_are_built(tmp_path):
    contents = read_checkpoint(STORED / "format5_plain.ckpt")
    for change, message in (
        ({"model": {**contents["spinpot"]["model"], "kind": "os.system"}}, "'os.system'.*known are deepspin"),
        ({"version": 99}, "version 99 of the model deepspin"),
        (
            {"format": FORMAT + 1},
            f"format {FORMAT + 1}; this version of spinpot reads the formats 5 to {FORMAT}",
        ),
    ):
        changed = copy.deepcopy(contents)
        changed["spinpot"] |= change
        torch.save(changed, tmp_path / "x.ckpt")
        with pytest.raises(InputError, match=message):
            load_potential(tmp_path / "x.ckpt")


def test_a_config_from_before_runs_again(tmp_path):
    config = torch.load(STORED / "format5_plain.ckpt", weights_only=True)["spinpot"]["config"]
    cache = {name: config["data"][name] for name in ("cache_gb", "cache_disk_gb")}
    old = OmegaConf.to_yaml({"model": config["model"], "data": cache})
    (tmp_path / "old").mkdir()
    (tmp_path / "old/old.yaml").write_text(f"# @package _global_\n{old}")
    small = ["report=false", "data.batch_size=1", "trainer.max_steps=1", "trainer.val_check_interval=1"]
    options = [f"hydra.searchpath=[file://{tmp_path}]", "+old=old", *small, "hydra.run.dir=run"]
    result = run_here("train.py", *options, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "No longer needed, so ignored: data.cache_gb, data.cache_disk_gb.\n" in result.stdout
    assert "cache" not in (tmp_path / "run/config.yaml").read_text()
