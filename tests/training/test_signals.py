"""Signals before, during and after a run, and the state that a run leaves in its process."""

import gc
import json
import os
import pkgutil
import signal
import weakref
from unittest import mock

import pytest
from hydra.core.utils import run_job as run_job_of_hydra

from spinpot.core.errors import TrainingError
from spinpot.data.datamodule import SpinDataModule
from spinpot.training.run import train
from support.cli import run_python
from support.configs import composed
from support.folders import write_small_set
from support.in_process import run_here

NUMBERS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


@pytest.fixture(scope="module")
def small_set(tmp_path_factory):
    return write_small_set(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def without_pictures():
    with mock.patch("spinpot.training.finish.write_run_report"):
        yield


@pytest.fixture
def found():
    """Handlers of the program that calls train()."""

    def own(number, frame):
        raise AssertionError(f"signal {number} came too late")

    before = {number: signal.signal(number, own) for number in NUMBERS}
    yield own
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def modules(monkeypatch):
    """Weak references to the data modules that were made."""
    made = []
    original = SpinDataModule.__init__

    def remembered(self, *arguments, **settings):
        made.append(weakref.ref(self))
        original(self, *arguments, **settings)

    monkeypatch.setattr(SpinDataModule, "__init__", remembered)
    return made


def assert_as_before(found, modules):
    assert [signal.getsignal(number) for number in NUMBERS] == [found] * len(NUMBERS)
    assert gc.get_freeze_count() == 0
    assert [module() for module in modules] == [None]


def test_a_run_gives_everything_back(small_set, tmp_path, found, modules):
    train(composed(*small_set), tmp_path / "run")
    assert_as_before(found, modules)


def test_a_run_that_fails_gives_everything_back(small_set, tmp_path, found, modules):
    with pytest.raises(TrainingError):
        train(composed(*small_set, "scheduler.start_lr=1e300"), tmp_path / "run")
    gc.collect()  # the error held its frames
    assert_as_before(found, modules)


def warned(number, do):
    """A function that is interrupted by a signal, as if it came from outside, before it does its work."""

    def interrupted(*arguments, **options):
        os.kill(os.getpid(), number)
        return do(*arguments, **options)

    return interrupted


BEFORE_TRAINING = [
    "spinpot.data.datamodule.SpinDataModule.read",
    "spinpot.data.datamodule.SpinDataModule.make_datasets",
    "spinpot.training.stages.build_potential",
    "spinpot.training.stages.begin",
    "pytorch_lightning.Trainer.fit",
    "spinpot.training.module.SpinModule.configure_optimizers",
]
TRAINING = {
    "spinpot.training.trainer.FinalValidation.on_train_batch_end": 2,
    "spinpot.training.callbacks.validation_lines.ValidationLines.on_validation_end": 3,
    "spinpot.training.module.SpinModule.validation_step": 2,
    "spinpot.training.checkpoint_io.WholeCheckpoints.save_checkpoint": 1,  # of the fitted start
}
"""Where it comes, and where the run stops, of four steps with validations after the second and the fourth."""
AFTER_TRAINING = [
    "spinpot.training.finish.read_checkpoint",
    "spinpot.training.finish.write_run_report",
]


@pytest.fixture
def stopped_in(small_set, tmp_path):
    """What a run leaves that gets SIGTERM in some function; the same command then finishes the run."""

    def stop(where):
        folder = tmp_path / "run"
        command = [
            "train.py",
            *small_set,
            "model/exchange=full",
            "report=true",
            "resume=auto",
            f"hydra.run.dir={folder}",
        ]
        module, name = where.rsplit(".", 1)
        target = pkgutil.resolve_name(module)
        with mock.patch(where, warned(signal.SIGTERM, getattr(target, name))):
            result = run_here(*command, cwd=tmp_path)
        assert result.returncode == 128 + signal.SIGTERM, result.stderr
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        left = [path.name for path in folder.rglob("*")] if folder.exists() else []
        assert not [name for name in left if name.startswith(".")], "locks and half-written files"
        again = run_here(*command, cwd=tmp_path)
        assert again.returncode == 0, again.stderr
        assert json.loads((folder / "summary.json").read_text())["steps"] == 4
        return result, left

    return stop


@pytest.mark.parametrize("where", BEFORE_TRAINING)
def test_sigterm_before_the_first_step(stopped_in, where):
    result, left = stopped_in(where)
    assert result.stderr.splitlines()[-1] == "Error: Stopped by SIGTERM."
    assert "checkpoints" not in left


@pytest.mark.parametrize("where", TRAINING)
def test_sigterm_while_it_trains(stopped_in, where):
    result, left = stopped_in(where)
    step = TRAINING[where]
    assert result.stdout.splitlines()[-1] == f"SIGTERM: saved at step {step}. Resume with resume=auto."
    assert {"last.ckpt", "best.ckpt"} <= set(left)


@pytest.mark.parametrize("where", AFTER_TRAINING)
def test_sigterm_after_the_last_step(stopped_in, where):
    result, left = stopped_in(where)
    assert result.stderr.splitlines()[-1] == "Error: Stopped by SIGTERM."
    assert "last.ckpt" in left


def test_sigterm_between_the_end_of_the_training_and_the_handlers_return(stopped_in):
    result, _ = stopped_in("spinpot.training.callbacks.cuda_graphs.CudaGraphs.teardown")
    assert result.stdout.splitlines()[-1] == "SIGTERM: saved at step 4. Resume with resume=auto."


STOPPED_IN_AN_IMPORT = """
import builtins, os, signal, sys
from spinpot.cli import main

def watched(name, *others, found=builtins.__import__):
    made = found(name, *others)
    if hasattr(sys.modules.get("torch._subclasses.fake_tensor"), "dump_cache_stats"):
        builtins.__import__ = found
        os.kill(os.getpid(), signal.SIGTERM)
    return made

builtins.__import__ = watched
main("train")
"""


def test_sigterm_while_torch_is_imported(small_set, tmp_path):
    command = ["-c", STOPPED_IN_AN_IMPORT, "-m", *small_set, f"hydra.sweep.dir={tmp_path / 'sweep'}"]
    ended = run_python(command, cwd=tmp_path, fresh=True)
    assert ended.returncode == 128 + signal.SIGTERM
    assert (ended.stdout, ended.stderr) == ("", "Error: Stopped by SIGTERM.\n")


def test_sigterm_between_the_jobs_of_a_sweep_ends_it(small_set, tmp_path):
    folder = tmp_path / "sweep"
    command = ["train.py", "-m", *small_set, "seed=1,2", f"hydra.sweep.dir={folder}"]
    with mock.patch("hydra._internal.core_plugins.basic_launcher.run_job") as run_job:
        run_job.side_effect = lambda **options: (
            run_job_of_hydra(**options),
            os.kill(os.getpid(), signal.SIGTERM),
        )[0]
        result = run_here(*command, cwd=tmp_path)
    assert result.returncode == 128 + signal.SIGTERM, result.stderr
    assert (folder / "0" / "summary.json").exists()
    assert not (folder / "1").exists()
