"""User errors end with one message; program errors keep their traceback."""

import os
import signal
import sys
import time

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf
from omegaconf.errors import ConfigAttributeError, InterpolationKeyError, MissingMandatoryValue

from spinpot.config.app import FAILURE, describe, remove_empty_sweep, run_app, say
from spinpot.config.conflicts import remarks
from spinpot.core.errors import InputError, TrainingError


def raised(make):
    """The error as it arrives: with its traceback."""
    with pytest.raises(Exception) as caught:  # noqa: PT011
        make()
    return caught.value


def built(target, **settings):
    return raised(lambda: instantiate({"_target_": target, **settings}))


def test_errors_that_say_it_themselves():
    assert describe(InputError("bad file")) == "bad file"
    assert describe(TrainingError("step 3")) == "step 3"


def test_a_setting_without_a_value():
    error = raised(lambda: OmegaConf.create({"a": {"b": "???"}}).a.b)
    assert isinstance(error, MissingMandatoryValue)
    assert describe(error) == "a.b has no value, but is needed. Give a.b=VALUE."


def test_a_reference_to_nothing():
    error = raised(lambda: OmegaConf.create({"a": {"b": "${c}"}}).a.b)
    assert isinstance(error, InterpolationKeyError)
    assert describe(error).startswith("a.b: Interpolation key 'c' not found.")


def test_what_other_peoples_classes_refuse():
    error = built("pytorch_lightning.callbacks.ModelCheckpoint", mode="most")
    assert describe(error).endswith("can be min, max but got most. (While building the configured object.)")
    savers = [{"_target_": "pytorch_lightning.callbacks.ModelCheckpoint"}] * 2
    said = describe(built("pytorch_lightning.Trainer", callbacks=savers))
    assert "more than one stateful callback of type `ModelCheckpoint`" in said
    assert "Invalid isoformat" in describe(built("datetime.date.fromisoformat", _args_=["x"]))


def test_wrong_input_to_our_classes():
    error = built("spinpot.data.datamodule.SpinDataModule", train="a", validation="b", batch_size=0)
    assert describe(error).startswith("data.batch_size=0: expected at least 1 frame.")


def test_defects_keep_their_traceback():
    assert describe(KeyError("energy")) is None
    assert describe(AssertionError()) is None
    # A value that the checks of the config let through although our own code cannot use it.
    error = built("spinpot.data.datamodule.SpinDataModule", train="a", validation="b", batch_size="x")
    assert isinstance(error.__cause__, TypeError)
    assert describe(error) is None
    # A setting that our own code asks for although no config has it.
    strict = OmegaConf.create({"systems": ["a"]}, flags={"struct": True})
    error = raised(lambda: list(remarks(strict)))
    assert isinstance(error, ConfigAttributeError)
    assert describe(error) is None


def test_lists_are_no_markup(capsys):
    say("[Ni, O] and [red]")
    assert capsys.readouterr().err == "Error: [Ni, O] and [red]\n"


def test_only_an_empty_sweep_is_removed(tmp_path):
    empty, used = tmp_path / "empty", tmp_path / "used"
    for folder in (empty, used):
        folder.mkdir()
        (folder / "multirun.yaml").write_text("")
    (used / "0").mkdir()
    (used / "0" / FAILURE).write_text("{}")
    for folder in (empty, used, tmp_path / "nowhere"):
        remove_empty_sweep(folder)
    assert not empty.exists()
    assert (used / "0" / FAILURE).exists()


def test_a_signal_in_the_middle_of_a_del_is_not_dropped(capfd):
    """Python ignores what is raised there."""

    class Dying:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGTERM)

    def main():
        Dying()
        time.sleep(60)

    before = signal.getsignal(signal.SIGTERM), sys.unraisablehook
    with pytest.raises(SystemExit) as stopped:
        run_app(main)
    assert stopped.value.code == 128 + signal.SIGTERM
    assert capfd.readouterr().err == "Error: Stopped by SIGTERM.\n"
    assert (signal.getsignal(signal.SIGTERM), sys.unraisablehook) == before
