"""Runs that end early, and callbacks that save nothing."""

import pytest
import torch

from spinpot.training.schedulers import Cosine, Exponential
from support.folders import write_small_set
from support.in_process import run_here

DECAY = "scheduler.decay_steps=5000 is not shorter than the run; spinpot uses 1, like deepmd-kit."


@pytest.fixture(scope="module")
def small_set(tmp_path_factory):
    return write_small_set(tmp_path_factory.mktemp("data"))


@pytest.fixture
def trained(small_set, tmp_path):
    """Trains in the folder `run`; returns the lines of stdout."""

    def run(*arguments):
        result = run_here(
            "train.py", *small_set, *arguments, f"hydra.run.dir={tmp_path / 'run'}", cwd=tmp_path
        )
        assert result.returncode == 0, result.stderr
        assert (tmp_path / "run" / "summary.json").exists()
        return result.stdout.splitlines()

    return run


def validations(lines):
    return [line.split(":")[0] for line in lines if "validation rmse" in line]


@pytest.mark.parametrize("chosen", ["ema", "early_stopping", "gradient_norms", "[ema,early_stopping]"])
def test_more_callbacks_leave_the_usual_ones(trained, tmp_path, chosen):
    lines = trained(f"callbacks={chosen}")
    assert validations(lines) == ["step      2", "step      4"]
    files = [file.name for file in sorted((tmp_path / "run" / "checkpoints").iterdir())]
    assert files == ["best.ckpt", "last.ckpt"]


def test_early_stopping_says_so(trained):
    lines = trained("callbacks=early_stopping", "+callbacks.early_stopping.divergence_threshold=1e-9")
    (said,) = [line for line in lines if line.startswith("Ended at step")]
    assert said.startswith("Ended at step 2 of 4: early stopping: Divergence threshold reached: val/score = ")
    assert said.endswith(" < 1e-09.")
    assert validations(lines) == ["step      2"]


def test_max_time_says_so(trained):
    lines = trained("trainer.max_time={microseconds:1}", "trainer.max_steps=1000000")
    assert "Ended at step 1 of 1000000: trainer.max_time has passed." in lines


def test_what_no_callback_has_saved_is_saved_at_the_end(trained, tmp_path):
    lines = trained("~callbacks.checkpoint", "+callbacks.last_checkpoint.every_n_train_steps=100")
    assert "No validation saved a checkpoint; checkpoints/last.ckpt holds the last weights." in lines
    assert "No callback writes checkpoints/best.ckpt: the final errors are those of last.ckpt." in lines
    saved = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["global_step"] == 4


def test_init_from_beside_resume(trained, tmp_path):
    lines = trained()
    assert DECAY in lines
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    lines = trained("resume=auto", f"init_from={last}", "trainer.max_steps=6")
    assert f"init_from={last} has no effect: the weights come from {last}." in lines


def test_a_large_cutoff(trained):
    lines = trained("model.descriptor.rcut=12.5")
    (said,) = [line for line in lines if line.startswith("look: the cutoff of 12.5 Å is unusually large")]
    assert lines.index(said) < lines.index(next(line for line in lines if "validation rmse" in line))


def test_decay_steps_that_are_replaced():
    assert Exponential(decay_steps=5000).remark(3000) == (
        "scheduler.decay_steps=5000 is not shorter than the run; spinpot uses 100, like deepmd-kit."
    )
    assert Exponential(decay_steps=100).remark(3000) == ""
    assert Cosine().remark(3000) == ""
