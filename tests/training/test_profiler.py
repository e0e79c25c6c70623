"""Hooks are timed only if the config requests it."""

import pytest

from spinpot.training import stages
from spinpot.training.trainer import NoProfiler
from support.cli import run_script
from support.folders import write_small_set
from support.in_process import run_here

SHORT = ("trainer.max_steps=4", "trainer.val_check_interval=4")


@pytest.fixture(scope="module")
def small_set(tmp_path_factory):
    return write_small_set(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ((), "NoProfiler"),
        (("+trainer.profiler=null",), "NoProfiler"),
        (("+trainer.profiler=simple",), "SimpleProfiler"),
    ],
    ids=["default", "null", "simple"],
)
def test_the_profiler_of_a_run(setting, expected, small_set, monkeypatch, tmp_path):
    trainers, build = [], stages.build_trainer
    monkeypatch.setattr(stages, "build_trainer", lambda *args: trainers.append(build(*args)) or trainers[0])
    result = run_here("train.py", *small_set, *setting, f"hydra.run.dir={tmp_path / 'run'}", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert type(trainers[0].profiler).__name__ == expected


def test_the_times_are_printed(small_set, tmp_path):
    result = run_script("train.py", *small_set, "debug=profile", *SHORT, cwd=tmp_path)
    assert "run_training_batch" in result.stdout + result.stderr


def test_torchs_profiler(small_set, tmp_path):
    folder = tmp_path / "run"
    profiler = ("debug=profile", "trainer.profiler=pytorch", *SHORT)
    result = run_script("train.py", *small_set, *profiler, f"hydra.run.dir={folder}", cwd=tmp_path)
    assert "CPU time total" in result.stdout + result.stderr
    assert list(folder.glob("*.trace.json"))


def test_what_no_profiler_gives_goes_in_with():
    with NoProfiler().profile("optimizer_step") as name:
        assert name == "optimizer_step"
