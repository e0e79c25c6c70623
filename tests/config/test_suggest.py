"""Suggestions of the nearest valid key, and the place where a key was given."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.errors import MissingConfigException
from omegaconf import OmegaConf

from spinpot.config.suggest import explain_composition, file_with, options_of
from spinpot.core.spelling import dotted_keys, nearest
from support.configs import CONFIGS, composed


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("model.spin.virtual_lenn", "model.spin.virtual_len"),
        ("model.spinn.virtual_len", "model.spin.virtual_len"),
        ("modle.spin.virtual_len", "model.spin.virtual_len"),
        ("virtual_len", "model.spin.virtual_len"),
        ("spin.virtual_len", "model.spin.virtual_len"),
        ("max_steps", "trainer.max_steps"),
        ("trainer.max_step", "trainer.max_steps"),
        ("trainer.batch_size", "data.batch_size"),
        ("batchsize", "data.batch_size"),
        ("loss.pref_e", "loss.start_pref_e"),
        ("losss", "loss"),
        ("modell", "model"),
        ("lr", "optimizer.lr"),
        ("learning_rate", None),
        ("trainer.foo", None),
        ("x", None),
    ],
)
def test_nearest(word, meant):
    found = nearest(word, dotted_keys(composed()))
    assert found == (f" Did you mean {meant}?" if meant else "")


def test_nearest_of_nothing():
    assert nearest("word", []) == ""
    assert nearest("ener_spinn", iter(["ener_spin", "other"])) == " Did you mean ener_spin?"


def test_dotted_keys():
    config = OmegaConf.create({"a": {"b": 1, "c": "${nowhere}", "d": "???"}, "e": [1]})
    assert list(dotted_keys(config)) == ["a", "a.b", "a.c", "a.d", "e"]
    assert list(dotted_keys(config, without="a")) == ["e"]


def test_options():
    assert options_of("trainer") == sorted(file.stem for file in (CONFIGS / "trainer").glob("*.yaml"))
    assert options_of("nowhere") == []


@pytest.mark.parametrize("missing", ["hydra/launcher=joblib", "hydra/sweeper=optuna"])
def test_a_plugin_that_is_not_installed(missing):
    """Hydra's own error where there is none of an option, made to speak of a plugin's."""
    group, option = missing.split("=")
    with (
        pytest.raises(MissingConfigException) as caught,
        initialize_config_dir(str(CONFIGS), version_base="1.3"),
    ):
        compose("train", overrides=[f"{group}=nothing"], return_hydra_config=True)
    error = MissingConfigException(str(caught.value).replace("nothing", option), option)
    message = explain_composition(error, ["-m", missing], "train")
    assert message.startswith(f"There is no {missing}; choose from")
    assert message.endswith("pip install -c constraints.txt -e '.[sweeps]'.")


def test_file_with():
    assert file_with("model.descriptor.rcut") == ""  # outside a run nothing is known
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("train", overrides=["experiment=nio_deltaspin"], return_hydra_config=True)
        config.hydra.job.config_name = "train"
        HydraConfig.instance().set_config(config)
    try:
        assert file_with("model.descriptor.rcut") == f" (in {CONFIGS / 'experiment' / 'nio_deltaspin.yaml'})"
        assert file_with("model.spin.virtual_len") == f" (in {CONFIGS / 'model' / 'spin.yaml'})"
        assert file_with("seed") == f" (in {CONFIGS / 'train.yaml'})"
        assert file_with("model.nothing") == ""
    finally:
        HydraConfig.instance().cfg = None
