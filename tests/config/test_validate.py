"""Unknown keys and values of wrong types, in sections that no shipped config has."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from omegaconf import OmegaConf

from spinpot.config.targets import find_target, parameters
from spinpot.config.validate import AUDIT, EVALUATION, arguments, validate
from spinpot.config.values import argument_types, expected, fits
from spinpot.core.errors import InputError
from spinpot.core.spelling import missing_keys
from spinpot.models.deepspin.settings import DescriptorSettings
from spinpot.models.deepspin.spec import DeepSpinSettings
from support.configs import composed

# ---- values against annotations ----


@pytest.mark.parametrize(
    ("hint", "good", "bad"),
    [
        (int, [0, -3], [True, 1.0, "1", None, [1]]),
        (float, [0, 1.5], [True, "1", None, float("nan"), float("inf")]),
        (bool, [True, False], [0, 1, "true", None]),
        (str, ["", "a"], [1, None, True, ["a"]]),
        (Path, ["a/b"], [1, None]),
        (Literal["auto", "all"], ["auto", "all"], ["alll", None, 1]),
        (Literal[64, 32], [64], ["64", 64.0]),
        (float | None, [1, None], ["x"]),
        (Sequence[int], [[], [1, 2]], [1, "12", [1.5], [True], None]),
        (tuple[float, float], [[0.9, 1]], [[0.9], [0.9, 0.9, 0.9], 0.9]),
        (tuple[int, ...], [[1], [1, 2, 3]], [["a"]]),
        (list, [[1, "a"]], [1]),
        (int | Sequence[int] | Literal["auto"], [4, [4, 5], "auto"], ["many", 2.5]),
        (dict[str, int], [{"hours": 1}], ["1", [1]]),
        (Mapping, [{}], [1]),
        (Any, [1, None, "a", [1], {}], []),
        (timedelta, [{"days": 1}], [1, "1", None]),
        (Callable[[], None] | None, [None, {"a": 1}], ["a", 1]),
        (DescriptorSettings, [], [{"rcut": 1}, None, 1, [1]]),
    ],
    ids=str,
)
def test_fits(hint, good, bad):
    assert [value for value in good if not fits(value, hint)] == []
    assert [value for value in bad if fits(value, hint)] == []


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (int, "a whole number"),
        (int | float | None, "a number or null"),
        (float | Sequence[float] | None, "a number, a list of numbers or null"),
        (Literal["mse", "mae", "huber"], "mse, mae or huber"),
        (tuple[float, float], "a list of 2 numbers"),
        (timedelta | None, "a section with a _target_"),
        (dict[str, int], "a section of keys and values"),
    ],
    ids=str,
)
def test_annotations_in_words(hint, words):
    assert expected(hint) == words


def test_argument_types():
    assert argument_types(DescriptorSettings)["rcut"] is float
    assert argument_types(DeepSpinSettings)["descriptor"] is DescriptorSettings

    def broken(a: "Nowhere") -> None:  # noqa: F821
        pass

    assert argument_types(broken) == {}


# ---- targets ----


def test_targets():
    assert find_target("model", "spinpot.models.deepspin.spec.DeepSpinSettings") is DeepSpinSettings
    assert find_target("when", "datetime.timedelta") is timedelta
    assert set(parameters(DeepSpinSettings)) == {"descriptor", "fitting_net", "spin", "exchange"}
    assert parameters(lambda **more: None) is None


def test_an_option_given_as_a_value():
    config = changed(model__exchange="full")
    with pytest.raises(InputError, match="Choose it by model/exchange=full"):
        validate(config)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "spinpot.models.deepspin.setings.DeepSpinSettings",
            "no setings in spinpot.models.deepspin. Did you mean settings?",
        ),
        ("spinpot.models.deepspin.spec.DeepSpinSetings", "Did you mean DeepSpinSettings?"),
        ("nowhere.Model", "No module named 'nowhere'"),
        ("spinpot.core.errors", "expected a class or function, but this is a module"),
        ("", "expected the dotted name"),
        (None, "expected the dotted name"),
    ],
)
def test_targets_that_are_not_there(path, message):
    with pytest.raises(InputError, match=message) as caught:
        find_target("model", path)
    assert f"model._target_={path}" in str(caught.value)


def test_a_target_whose_own_import_fails(tmp_path, monkeypatch):
    (tmp_path / "needs_more.py").write_text("import nowhere_at_all\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match="No module named 'nowhere_at_all'"):
        find_target("callbacks.mine", "needs_more.Callback")


# ---- whole configs ----


def changed(**settings):
    """The default config with some settings that may be new to it."""
    config = composed()
    OmegaConf.set_struct(config, False)
    for key, value in settings.items():
        OmegaConf.update(config, key.replace("__", "."), value, merge=False)
    return config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sead": 1}, "Unknown setting sead. Did you mean seed?"),
        ({"model__spin__virtual_lem": 1}, "Unknown setting model.spin.virtual_lem. Did you mean"),
        ({"callbacks__checkpoint__save_lasst": True}, "Did you mean callbacks.checkpoint.save_last?"),
        ({"callbacks__mine": {"_target_": "builtins.dict", "anything": 1}}, None),
        ({"callbacks__mine": None}, "callbacks.mine=None: expected a section"),
        ({"trainer__cuda_graph": True}, None),
        ({"trainer__cuda_graph": "maybe"}, "trainer.cuda_graph=maybe: expected auto or true or false."),
        ({"trainer__cuda_grap": True}, "Did you mean trainer.cuda_graph?"),
        ({"trainer__max_time": {"hours": 1}}, None),
        ({"trainer__max_time": 3}, "trainer.max_time=3: expected text, a section"),
        ({"trainer__val_check_interval": "00:01:00:00"}, None),
        ({"callbacks__checkpoint__train_time_interval": 60}, "expected a section with a _target_"),
        (
            {"callbacks__checkpoint__train_time_interval": {"_target_": "datetime.timedelta", "hours": 1}},
            None,
        ),
        (
            {"callbacks__stop": {"_target_": "pytorch_lightning.callbacks.EarlyStopping"}},
            "callbacks.stop.monitor",
        ),
        ({"model__spin": {"virtual_len": 0.3}}, "model.spin={'virtual_len': 0.3}: expected a section with"),
        ({"data__train": ["a", "b"]}, None),
        ({"model__spin__use_spin": ["Ni"]}, None),
        ({"model__descriptor__sel": [40, 50]}, None),
        ({"optimizer__betas": [0.9, 0.99]}, None),
    ],
    ids=str,
)
def test_validate(settings, message):
    config = changed(**settings)
    if message is None:
        validate(config)
        return
    with pytest.raises(InputError) as caught:
        validate(config)
    assert message in str(caught.value)


def test_a_config_of_before_has_no_cuda_graph():
    config = changed()
    del config.trainer.cuda_graph
    validate(config)


def test_long_lists_of_keys_are_not_printed():
    with pytest.raises(InputError) as caught:
        validate(changed(trainer__xyz=1))
    assert str(caught.value) == "Unknown setting trainer.xyz."


def test_missing_keys():
    assert missing_keys(composed("data=npy")) == ["data.train", "data.validation"]
    assert missing_keys(OmegaConf.create({"a": "${nowhere}", "b": {"c": "???"}})) == ["b.c"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["+batch=3"], "Unknown setting batch. Did you mean batch_size?"),
        (["batch_size=all"], "batch_size=all: expected a whole number"),
        (["systems=[]"], r"systems=\[\]: expected at least one path"),
        (["checkpoint=null"], "expected a list of paths"),
        (["checkpoint=???", "output=???"], "checkpoint, output have no value"),
    ],
)
def test_evaluation_arguments(settings, message):
    given = ["checkpoint=a.ckpt", "systems=[b]", "output=c"]
    with pytest.raises(InputError, match=message):
        arguments(EVALUATION, composed(*given, *settings, name="evaluate"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["+checkpoint=a.ckpt"], "Unknown setting checkpoint"),
        (["systems=[]"], r"systems=\[\]: expected at least one path"),
        (["output=[a]"], "expected a path or null"),
    ],
)
def test_audit_arguments(settings, message):
    with pytest.raises(InputError, match=message):
        arguments(AUDIT, composed("systems=[b]", *settings, name="audit"))
