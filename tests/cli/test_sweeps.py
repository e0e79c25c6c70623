"""Sweeps with the real command: killed and resumed, several processes, launchers, recipes."""

import csv
import json
import os
import signal
import subprocess
import time
from importlib.metadata import version

import pytest

from support.cli import PROJECT, TRAIN, python, run_python, run_script
from support.folders import write_small_set
from support.html import Page
from support.in_process import run_here

PREFACTORS = ["-m", "loss.start_pref_fm=1000,10000", "loss.limit_pref_fm=1,10"]
LONG = ["trainer.max_steps=30", "trainer.val_check_interval=10"]
KILLED_IN_THE_THIRD_JOB = """
import os, runpy, signal, sys
from pathlib import Path

replace = Path.replace

def killed_after(self, target):
    replace(self, target)
    if target.parts[-3:] == ("2", "checkpoints", "last.ckpt"):
        os.kill(os.getpid(), signal.SIGKILL)
    return target

Path.replace = killed_after
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def small_set(tmp_path_factory):
    return write_small_set(tmp_path_factory.mktemp("data"))


def files(folder):
    """Every file of a finished job and when it was written."""
    return {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*")) if path.is_file()}


def scores(folder):
    with (folder / "sweep.csv").open() as file:
        return {row["run"]: row["score"] for row in csv.DictReader(file)}


def start(*arguments, cwd):
    """A script in a process group of its own."""
    return python([TRAIN, *arguments], cwd=cwd, stderr=subprocess.STDOUT, start_new_session=True)


def wait_for(path, process):
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


@pytest.mark.slow
def test_killed_in_the_third_job_and_continued(small_set, tmp_path):
    folder = tmp_path / "sweep"
    command = [*PREFACTORS, *small_set, *LONG, f"hydra.sweep.dir={folder}"]
    killed = run_python(["-c", KILLED_IN_THE_THIRD_JOB, TRAIN, *command], cwd=tmp_path)
    assert killed.returncode == -signal.SIGKILL
    assert not (folder / "2" / "summary.json").exists()
    assert not (folder / "3").exists()
    finished = files(folder / "0") | files(folder / "1")
    assert sorted(scores(folder)) == ["0", "1"]
    assert not (folder / "report.html").exists(), "the page is drawn once, at the end"

    result = run_script("train.py", *command, cwd=tmp_path)
    assert result.stdout.count("Nothing to do") == 2
    assert files(folder / "0") | files(folder / "1") == finished
    assert all(scores(folder).values())
    assert sorted(scores(folder)) == ["0", "1", "2", "3"]
    assert (folder / "report.html").exists()
    assert result.stdout.count("Validation rmse") == 1
    whole = ["loss.start_pref_fm=10000", "loss.limit_pref_fm=1", f"hydra.run.dir={tmp_path / 'whole'}"]
    run_script("train.py", *small_set, *LONG, *whole)
    assert (folder / "2" / "metrics.csv").read_text() == (tmp_path / "whole" / "metrics.csv").read_text()


@pytest.fixture(scope="module")
def swept(small_set, tmp_path_factory):
    """The arguments of a finished sweep of two jobs, and its folder."""
    folder = tmp_path_factory.mktemp("swept") / "sweep"
    command = ["-m", *small_set, "loss.start_pref_fm=1,2", f"hydra.sweep.dir={folder}"]
    run_script("train.py", *command)
    return command, folder


@pytest.mark.slow
def test_another_sweep_in_the_same_folder_is_refused_and_changes_nothing(small_set, swept):
    _, folder = swept
    kept = files(folder / "0") | files(folder / "1")
    result = run_script(
        "train.py", "-m", *small_set, "loss.start_pref_fm=1,3", f"hydra.sweep.dir={folder}", check=False
    )
    assert result.returncode == 1
    assert "loss.start_pref_fm: 2 there, 3 now" in result.stderr
    assert "(Job 1 of the sweep" in result.stderr
    assert files(folder / "0") | files(folder / "1") == kept


@pytest.mark.slow
def test_what_a_finished_job_may_differ_in(swept):
    command, _ = swept
    other = ["optimized_metric=rmse_fm", "logger=none", "trainer.enable_progress_bar=false"]
    assert run_script("train.py", *command, *other).stdout.count("Nothing to do") == 2
    result = run_script("train.py", *command, "trainer.gradient_clip_val=0.1", check=False)
    assert result.stderr.count("trainer.gradient_clip_val: None there, 0.1 now") == 2


@pytest.mark.slow
def test_a_job_that_trains_on_and_is_killed_is_unfinished(small_set, tmp_path):
    folder = tmp_path / "sweep"
    interval = "trainer.val_check_interval=4"
    command = ["-m", *small_set, interval, "seed=1", f"hydra.sweep.dir={folder}"]
    run_script("train.py", *command)
    process = start(*command, "trainer.max_steps=100000", cwd=tmp_path)
    wait_for(folder / "0" / "summary_until_step_4.json", process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    run_script("sweep_table.py", str(folder))
    assert scores(folder) == {"0": ""}


@pytest.mark.slow
def test_ctrl_c_saves_and_stops_the_sweep(small_set, tmp_path):
    folder = tmp_path / "sweep"
    steps = ["trainer.max_steps=100000", "trainer.val_check_interval=10"]
    process = start("-m", "seed=1,2", *small_set, *steps, f"hydra.sweep.dir={folder}", cwd=tmp_path)
    wait_for(folder / "0" / "checkpoints" / "last.ckpt", process)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGINT, output
    assert "SIGINT: saved at step" in output
    assert "Traceback" not in output
    assert not (folder / "1").exists()


@pytest.mark.slow
def test_a_run_folder_is_for_one_run_at_a_time(small_set, tmp_path):
    folder = tmp_path / "run"
    steps = ["trainer.max_steps=100000", "trainer.val_check_interval=10"]
    process = start(*small_set, *steps, f"hydra.run.dir={folder}", cwd=tmp_path)
    wait_for(folder / "checkpoints" / "last.ckpt", process)
    for how in ([], ["resume=auto"]):
        second = run_script("train.py", *small_set, *steps, *how, f"hydra.run.dir={folder}", check=False)
        assert second.returncode == 1
        assert "is in use: another process trains there" in second.stderr
    process.kill()
    process.communicate()
    more = ["resume=auto", "trainer.max_time=00:00:00:03", f"hydra.run.dir={folder}"]
    run_script("train.py", *small_set, *steps, *more)
    assert (folder / "summary.json").exists()


@pytest.mark.slow
def test_a_damaged_checkpoint_stops_its_own_job_only(small_set, tmp_path):
    folder = tmp_path / "sweep"
    command = ["-m", *small_set, "loss.start_pref_fm=1,2", f"hydra.sweep.dir={folder}"]
    run_script("train.py", *command)
    (folder / "0" / "checkpoints" / "last.ckpt").write_bytes(b"cut short")
    (folder / "1" / "summary.json").unlink()
    result = run_script("train.py", *command, check=False)
    assert result.returncode == 1
    assert "not a readable checkpoint" in result.stderr
    assert "(Job 0 of the sweep" in result.stderr
    assert (folder / "1" / "summary.json").exists()


@pytest.mark.slow
def test_jobs_of_several_processes(small_set, tmp_path):
    """Each is what it would be alone; one that is wrong does not stop the next."""
    jobs = ["scheduler.warmup_steps=99,0,1", "trainer=ddp_cpu"]
    result = run_script(
        "train.py", "-m", *jobs, *small_set, f"hydra.sweep.dir={tmp_path / 'a sweep'}", check=False
    )
    assert result.returncode == 1
    assert "scheduler.warmup_steps=99" in result.stderr
    assert "Traceback" not in result.stderr
    assert [run for run, score in sorted(scores(tmp_path / "a sweep").items()) if score] == ["1", "2"]
    alone = tmp_path / "alone"
    jobs = ["scheduler.warmup_steps=1", "trainer=ddp_cpu"]
    run_script("train.py", *jobs, *small_set, f"hydra.run.dir={alone}")
    assert (alone / "metrics.csv").read_text() == (tmp_path / "a sweep" / "2" / "metrics.csv").read_text()


@pytest.mark.slow
def test_a_warning_reaches_the_processes_of_a_job(small_set, tmp_path):
    folder = tmp_path / "sweep"
    steps = ["trainer.max_steps=100000", "trainer.val_check_interval=10"]
    command = ["-m", "trainer=ddp_cpu", "seed=1,2", *small_set, *steps, f"hydra.sweep.dir={folder}"]
    process = start(*command, cwd=tmp_path)
    wait_for(folder / "0" / "checkpoints" / "last.ckpt", process)
    process.send_signal(signal.SIGUSR1)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGUSR1, output
    assert "SIGUSR1: saved at step" in output
    assert not (folder / "1").exists(), "the sweep stops, too"


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local", "ray"])
def test_launchers(launcher, small_set, tmp_path):
    pytest.importorskip(f"hydra_plugins.hydra_{launcher.split('_')[0]}_launcher")
    folder = tmp_path / "sweep"
    settings = [f"hydra/launcher={launcher}", "model.spin.virtual_len=9,0.3"]
    result = run_script(
        "train.py", "-m", *settings, *small_set, f"hydra.sweep.dir={folder}", check=False, cwd=tmp_path
    )
    assert result.returncode != 0, "one job is wrong"
    assert [run for run, score in sorted(scores(folder).items()) if score] == ["1"]
    assert "virtual_len: 0.3\n" in (folder / "1" / "config.yaml").read_text()
    assert json.loads((folder / "1" / "summary.json").read_text())["steps"] == 4


ONE_VALUE = {
    "prefactors": ["loss.start_pref_fm=10", "loss.limit_pref_fm=1,2"],
    "virtual_len": ["model.spin.virtual_len=0.2,0.3"],
    "optuna": ["hydra.sweeper.n_trials=2"],
}


@pytest.mark.slow
@pytest.mark.parametrize("recipe", sorted(file.stem for file in (PROJECT / "configs" / "sweep").iterdir()))
def test_recipes(recipe, small_set, tmp_path):
    if recipe == "optuna":
        pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    command = [f"sweep={recipe}", *small_set, *ONE_VALUE[recipe]]
    said = run_script("train.py", *command, "hydra.run.dir=mine", cwd=tmp_path).stdout
    assert "hydra.run.dir has no effect in a sweep; hydra.sweep.dir=DIR sets" in said
    assert not (tmp_path / "mine").exists()
    (folder,) = (tmp_path / "multirun").iterdir()
    assert sorted(scores(folder)) == ["0", "1"]
    again = run_script("train.py", *command, f"hydra.sweep.dir={folder}", cwd=tmp_path)
    assert again.stdout.count("Nothing to do") == 2, "Optuna chooses the same again"


SOME_FAIL = [
    *("sweep=optuna", "hydra.sweeper.n_trials=4", "seed=31"),
    *("scheduler.start_lr=choice(0.001,0.002,1e300)", "model.spin.virtual_len=choice(0.3,0.4,9)"),
]
"""Of these choices of Optuna's, the second is refused and the third diverges."""
REFUSED = (
    "model.spin.virtual_len=9 Å is not smaller than model.descriptor.rcut=4.0: an atom's own virtual atom "
    "would be beyond the cutoff. Usual are 0.2 to 0.6 Å."
)


def states(folder):
    with (folder / "sweep.csv").open() as file:
        return {row["run"]: (row["state"], row["message"]) for row in csv.DictReader(file)}


@pytest.mark.slow
def test_failed_trials_do_not_end_a_sweep_by_optuna_and_the_same_command_resumes_it(small_set, tmp_path):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    folder = tmp_path / "sweep"
    command = ["train.py", *SOME_FAIL, *small_set, f"hydra.sweep.dir={folder}"]
    result = run_here(*command, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    found = states(folder)
    assert {run: state for run, (state, _) in found.items()} == {
        "0": "finished",
        "1": "failed",
        "2": "failed",
        "3": "finished",
    }
    assert found["1"][1] == REFUSED
    assert found["2"][1].startswith("The gradient of the loss is not finite at step 2.")
    last_table = result.stdout[result.stdout.rindex("Validation rmse") :]
    assert [line.split()[-1] for line in last_table.splitlines() if "failed" in line] == 2 * ["failed"]
    rows = [row[0] for row in Page.of(folder / "report.html").tables["table 0"]]
    assert f"1 failed: {REFUSED}" in rows
    trained = files(folder / "0") | files(folder / "3")

    again = run_here(*command, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("Nothing to do") == 2, "Optuna chooses the same, failed trials or not"
    assert states(folder) == found
    assert files(folder / "0") | files(folder / "3") == trained


@pytest.mark.slow
def test_a_sweep_by_optuna_in_which_every_trial_fails(small_set, tmp_path):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    command = ["sweep=optuna", "hydra.sweeper.n_trials=2", "model.spin.virtual_len=9"]
    result = run_here("train.py", *command, *small_set, f"hydra.sweep.dir={tmp_path / 'sweep'}", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        "Error: Every trial has failed, so that Optuna has no best trial. The messages are above."
    )
    assert states(tmp_path / "sweep") == dict.fromkeys(("0", "1"), ("failed", REFUSED))


@pytest.mark.slow
def test_a_study_in_a_file(small_set, tmp_path):
    """Each start has its own, and one with a name is not mixed up with the jobs of its earlier trials."""
    optuna = pytest.importorskip("optuna")
    if version("sqlalchemy") >= "2":
        pytest.skip("Optuna 2.10 keeps no study in a file with SQLAlchemy 2: install by constraints.txt")
    folder = tmp_path / "sweep"
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    command = ["sweep=optuna", "hydra.sweeper.n_trials=2", *small_set, f"hydra.sweeper.storage={storage}"]
    command = ["train.py", *command, f"hydra.sweep.dir={folder}"]
    assert run_here(*command, cwd=tmp_path).returncode == 0
    again = run_here(*command, cwd=tmp_path)
    assert again.stdout.count("Nothing to do") == 2
    first, second = optuna.get_all_study_summaries(storage)
    assert [first.n_trials, second.n_trials] == [2, 2]
    assert first.best_trial.params == second.best_trial.params

    named = run_here(*command, "hydra.sweeper.study_name=mine", cwd=tmp_path)
    assert named.returncode == 1
    assert named.stderr.splitlines()[-1] == (
        "Error: hydra.sweeper.study_name=mine: the stored study would continue with new trials, but "
        f"{folder} holds the jobs of its first trials. To resume these jobs, leave out study_name: the same "
        "command repeats their settings and skips finished jobs. For new trials, give another folder with "
        "hydra.sweep.dir=DIR."
    )
