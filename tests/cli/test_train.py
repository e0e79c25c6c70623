"""spinpot train as users run it: run folder, resume, kill, loggers."""

import csv
import json
import os
import shutil
import signal
import warnings
from functools import cache
from unittest import mock

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from spinpot.models.checkpoint import FORMAT
from support.cli import TRAIN, python, run_python, run_script
from support.folders import labelled_by_a_potential, write_small_set
from support.html import Page, assert_self_contained
from support.in_process import run_here

STEPS = 12
LONG = [f"trainer.max_steps={STEPS}", "trainer.val_check_interval=3", "trainer.log_every_n_steps=1"]


@pytest.fixture(scope="module")
def small_sets(tmp_path_factory):
    """Of each model, by its option."""
    return cache(lambda model: write_small_set(tmp_path_factory.mktemp("data"), model))


@pytest.fixture(scope="module")
def small_set(small_sets):
    return small_sets("spin")


@pytest.fixture(scope="module")
def finished(small_set, tmp_path_factory):
    """One uninterrupted run."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    result = run_script("train.py", *small_set, *LONG, f"hydra.run.dir={folder}", fresh=True)
    return folder, result.stdout


def rows(folder):
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def weights(folder):
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def assert_same_weights(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_allclose(value, other[name], atol=1e-12, rtol=1e-12, err_msg=name)


def test_run_folder(finished):
    folder, _ = finished
    names = {path.name for path in folder.iterdir()}
    assert {"config.yaml", "metrics.csv", "checkpoints", "summary.json"} <= names
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    config = OmegaConf.load(folder / "config.yaml")
    assert config.model.spin.virtual_len == 0.4
    assert config.trainer.max_steps == STEPS


def test_metrics_csv_has_one_row_per_step(finished):
    folder, _ = finished
    made = rows(folder)
    assert [int(row["step"]) for row in made] == list(range(1, STEPS + 1))
    for name in ("step", "lr", "pref_e", "pref_fr", "pref_fm", "pref_v"):
        assert all(row[name] for row in made)
    for name in ("loss", "rmse_e", "rmse_fr", "rmse_fm", "rmse_v"):
        assert all(float(row[f"train/{name}"]) >= 0 for row in made)
        assert [int(row["step"]) for row in made if row[f"val/{name}"]] == [3, 6, 9, 12]


def test_prefactors_follow_the_learning_rate(finished):
    folder, _ = finished
    loss = OmegaConf.load(folder / "config.yaml").loss
    start_lr = float(rows(folder)[0]["lr"])
    assert len({row["lr"] for row in rows(folder)}) > 3
    for row in rows(folder):
        ratio = float(row["lr"]) / start_lr
        for name in ("e", "fr", "fm", "v"):
            expected = loss[f"start_pref_{name}"] * ratio + loss[f"limit_pref_{name}"] * (1 - ratio)
            assert float(row[f"pref_{name}"]) == pytest.approx(expected, rel=1e-12)


def test_the_prefactors_of_a_row_are_those_of_its_validation_loss(finished):
    folder, _ = finished
    validated = [row for row in rows(folder) if row["val/loss"]]
    assert len(validated) == STEPS // 3
    for row in validated:
        # All validation frames have 5 atoms, all of the magnetic ones a label.
        terms = {name: float(row[f"val/rmse_{name}"]) ** 2 for name in ("e", "fr", "fm", "v")}
        atoms = {"e": 5.0, "v": 5.0}
        total = sum(float(row[f"pref_{name}"]) * atoms.get(name, 1.0) * terms[name] for name in terms)
        assert float(row["val/loss"]) == pytest.approx(total, rel=1e-9)


def test_summary(finished):
    folder, printed = finished
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["steps"] == STEPS
    assert summary["seconds_per_step"] > 0
    assert summary["train_seconds"] > 0
    assert summary["evaluation"] == "compiled"
    assert "Evaluation: compiled." in printed
    # Of a wheel for CUDA it lacks the +cu130.
    assert torch.__version__.startswith(summary["versions"]["torch"])
    best = min((row for row in rows(folder) if row["val/score"]), key=lambda row: float(row["val/score"]))
    for name in ("rmse_e", "rmse_fr", "rmse_fm", "rmse_v"):
        assert summary["val"][name] == pytest.approx(float(best[f"val/{name}"]), rel=1e-10)


def test_report_html_says_what_the_summary_says(finished, tmp_path):
    folder = shutil.copytree(finished[0], tmp_path / "run")
    assert run_here("report.py", str(folder), cwd=folder.parent).returncode == 0
    page = Page.of(folder / "report.html")
    summary = json.loads((folder / "summary.json").read_text())
    assert_self_contained(page)
    rmse = {key: value for key, value in summary["val"].items() if key.startswith("rmse_")}
    shown = set(page.values)
    # The magnetic force has a single element, whose row stands for all.
    assert {1000 * value for value in rmse.values()} <= shown
    for errors in summary["baselines"]["val"].values():
        assert {1000 * errors[key] for key in rmse} <= shown
    contents = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
    assert summary["checkpoint"] == {"file": "best.ckpt", "step": contents["global_step"]}
    weights_of = [value for key, value in contents["state_dict"].items() if "potential." in key]
    assert 0 < summary["model"]["parameters"] <= sum(value.numel() for value in weights_of)
    assert summary["loss_terms"] == ["e", "fr", "fm"]
    assert len([image for image in page.all("img") if image["class"] == "light"]) == 5 + 4
    assert "There was no test set" in page.text


def test_the_numbers_are_not_lost_with_a_picture(small_set, tmp_path):
    folder = tmp_path / "run"
    with mock.patch("spinpot.training.finish.write_run_report", side_effect=RuntimeError("no font")):
        result = run_here("train.py", *small_set, "report=true", f"hydra.run.dir={folder}", cwd=tmp_path)
    assert result.returncode == 1
    assert "no font" in result.stderr
    assert json.loads((folder / "summary.json").read_text())["val"]["rmse_e"] > 0


def test_terminal_shows_data_progress_and_errors(finished):
    _, output = finished
    for text in ("Ni3O2", "Ni2O4", "E F Fm V", "step     12", "checkpoint", "spread", "training"):
        assert text in output


def test_no_word_of_a_logging_interval_beyond_the_run(small_set, tmp_path):
    with warnings.catch_warnings(record=True) as told:
        run_here(
            "train.py",
            *small_set,
            "trainer.log_every_n_steps=100",
            f"hydra.run.dir={tmp_path / 'run'}",
            cwd=tmp_path,
        )
    assert (tmp_path / "run" / "summary.json").exists()
    assert not [str(one.message) for one in told if "interval" in str(one.message)]


def test_checkpoint_holds_plain_data_only(finished):
    folder, _ = finished
    contents = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
    assert contents["spinpot"]["format"] == FORMAT
    assert contents["spinpot"]["model"]["type_map"] == ["Ni", "O"]


def test_checkpoint_keeps_what_the_training_frames_covered(finished):
    folder, _ = finished
    entry = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["spinpot"]
    training = [labelled_by_a_potential(1, 7), labelled_by_a_potential(2, 4, n_ni=2, n_o=4)]
    lengths = np.concatenate([np.linalg.norm(s.spin[:, s.types == 0], axis=-1).ravel() for s in training])
    facts = entry["training_facts"]
    assert facts["moments"] == {"Ni": [lengths.min(), lengths.max()]}
    assert facts["crystals"] == {
        "Ni3O2": [training[0].box[0].tolist()],
        "Ni2O4": [training[1].box[0].tolist()],
    }


@pytest.mark.parametrize("found_by", ["--config-dir", "--config-path"])
def test_a_run_folder_runs_again(finished, tmp_path, found_by):
    folder, _ = finished
    run_script(
        "train.py",
        found_by,
        str(folder),
        "--config-name",
        "config",
        f"hydra.run.dir={tmp_path / 'again'}",
        cwd=tmp_path,
    )
    for file in ("config.yaml", "metrics.csv"):
        assert (tmp_path / "again" / file).read_text() == (folder / file).read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["again"]


def test_a_time_limit_ends_the_run_as_a_whole(small_set, tmp_path):
    folder = tmp_path / "run"
    limit = ["trainer.max_steps=1000000", "trainer.max_time=00:00:00:02", "trainer.val_check_interval=50"]
    run_script("train.py", *small_set, *limit, f"hydra.run.dir={folder}")
    summary = json.loads((folder / "summary.json").read_text())
    assert 0 < summary["steps"] < 1000000
    assert int(rows(folder)[-1]["step"]) == summary["steps"]
    assert summary["val"]["rmse_fr"] > 0
    result = run_script("train.py", *small_set, *limit, "resume=auto", f"hydra.run.dir={folder}")
    assert "Nothing to do" in result.stdout
    assert "trainer.max_time" in result.stdout


TURNED = [
    "model.spin.time_reversal=augment",
    "model.spin.spin_rotation=augment",
    "loss.label_scale_fm=learned",
]
HARD = ["trainer.accumulate_grad_batches=2", "callbacks=[default,ema]", "scheduler.warmup_steps=4"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("spin", []),
        ("spin", HARD),
        ("spin", ["optimizer=muon"]),
        ("spin", ["optimizer=soap"]),
        ("spin", [*HARD, *TURNED]),
        ("native_spin", []),
        ("native_spin", [*HARD, "model.linear=free", "model/exchange=heisenberg"]),
    ],
    ids=["plain", "accumulation-ema-warmup", "muon", "soap", "turned-learned", "native", "native-free"],
)
def test_killed_and_resumed_run_is_the_uninterrupted_run(small_sets, tmp_path, model, settings):
    arguments = [*small_sets(model), *LONG, *settings]
    run_script("train.py", *arguments, f"hydra.run.dir={tmp_path / 'whole'}")
    kill_at_step(6, arguments, tmp_path / "killed")
    assert 0 < int(rows(tmp_path / "killed")[-1]["step"]) < STEPS
    run_script("train.py", *arguments, "resume=auto", f"hydra.run.dir={tmp_path / 'killed'}")
    assert_same_weights(weights(tmp_path / "whole"), weights(tmp_path / "killed"))
    assert (tmp_path / "killed" / "metrics.csv").read_text() == (
        tmp_path / "whole" / "metrics.csv"
    ).read_text()


KILLED_WRITING = """
import os, runpy, signal, sys
from pathlib import Path

replace, numbers, last = Path.replace, iter(range(100)), int(sys.argv[1])

def cut_short(self, target):
    if target.suffix == ".ckpt" and next(numbers) == last:
        os.truncate(self, 1000)
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)

Path.replace = cut_short
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""A script that is killed in the middle of the checkpoint of this number, from 0 on."""


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 1, 4])
def test_killed_while_it_writes_a_checkpoint(small_set, finished, tmp_path, number):
    arguments = [*small_set, *LONG, f"hydra.run.dir={tmp_path / 'run'}"]
    killed = run_python(["-c", KILLED_WRITING, number, TRAIN, *arguments], cwd=tmp_path)
    assert killed.returncode == -signal.SIGKILL
    (left,) = (tmp_path / "run" / "checkpoints").glob(".*")
    result = run_script("train.py", *arguments, "resume=auto")
    assert f"Removed {left.name} from {tmp_path / 'run'}, left by an interrupted write." in result.stdout
    whole, _ = finished
    names = {path.name for path in (tmp_path / "run").rglob("*")}
    # It was resumed by a setting of its own, where there was a checkpoint.
    assert names - {"config_until_step_6.yaml"} == {path.name for path in whole.rglob("*")}
    assert_same_weights(weights(whole), weights(tmp_path / "run"))
    assert (tmp_path / "run" / "metrics.csv").read_text() == (whole / "metrics.csv").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_warned_run_saves_and_resumes_exactly(small_set, tmp_path, number):
    arguments = [*small_set, "trainer.max_steps=100", "trainer.val_check_interval=20"]
    run_script("train.py", *arguments, f"hydra.run.dir={tmp_path / 'whole'}")
    folder = tmp_path / "warned"
    kill_at_step(20, arguments, folder, number, code=128 + number)
    step = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]
    assert 20 <= step < 100
    assert int(rows(folder)[-1]["step"]) == step
    run_script("train.py", *arguments, "resume=auto", f"hydra.run.dir={folder}")
    assert_same_weights(weights(tmp_path / "whole"), weights(folder))
    trained = [[row["step"], row["train/loss"]] for row in rows(folder)]
    assert trained == [[row["step"], row["train/loss"]] for row in rows(tmp_path / "whole")]


def test_the_last_checkpoint_is_of_the_last_validation(small_set, tmp_path):
    """Although the best by this monitor is the first."""
    first = "callbacks.checkpoint.monitor=step"
    run_script("train.py", *small_set, *LONG, first, f"hydra.run.dir={tmp_path}/run")
    steps = {
        name: torch.load(tmp_path / "run" / "checkpoints" / f"{name}.ckpt", weights_only=True)["global_step"]
        for name in ("best", "last")
    }
    assert steps["last"] == STEPS
    validated = [int(row["step"]) for row in rows(tmp_path / "run") if row["val/score"]]
    assert steps["best"] == validated[0] < STEPS


def kill_at_step(step, arguments, folder, number=signal.SIGKILL, code=-signal.SIGKILL):
    """Send a signal right after the validation of a step, whose checkpoint is then the last."""
    unbuffered = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = python([TRAIN, *arguments, f"hydra.run.dir={folder}"], env=unbuffered)
    for line in process.stdout:
        if line.startswith(f"step {step:6d}"):
            process.send_signal(number)
            break
    process.stdout.read()
    assert process.wait() == code


def test_resume_shows_changed_settings_and_keeps_the_old_config(small_set, finished, tmp_path):
    folder, _ = finished
    result = run_script(
        "train.py",
        *small_set,
        *LONG,
        f"trainer.max_steps={STEPS + 3}",
        f"resume={folder}",
        f"hydra.run.dir={tmp_path / 'longer'}",
    )
    assert "trainer.max_steps" in result.stdout
    assert "12" in result.stdout
    assert int(rows(tmp_path / "longer")[-1]["step"]) == STEPS + 3


def test_runs_of_torchs_adam_and_ours_go_on_with_each_other(small_set, finished, tmp_path):
    """As runs from before there was one of ours do."""
    theirs = [*small_set, *LONG, "optimizer._target_=torch.optim.Adam", f"trainer.max_steps={STEPS + 1}"]
    run_script("train.py", *theirs, f"resume={finished[0]}", f"hydra.run.dir={tmp_path / 'theirs'}")
    ours = [*small_set, *LONG, f"trainer.max_steps={STEPS + 2}"]
    run_script("train.py", *ours, f"resume={tmp_path / 'theirs'}", f"hydra.run.dir={tmp_path / 'ours'}")
    assert int(rows(tmp_path / "ours")[-1]["step"]) == STEPS + 2
    again = ["resume=auto", f"hydra.run.dir={tmp_path / 'ours'}", "optimizer._target_=torch.optim.Adam"]
    assert "Nothing to do" in run_script("train.py", *ours, *again).stdout


def test_resumed_run_takes_the_new_learning_rate(small_set, finished, tmp_path):
    folder = tmp_path / "slower"
    arguments = [*small_set, *LONG, f"trainer.max_steps={STEPS + 2}", "scheduler.start_lr=1e-3"]
    run_script(
        "train.py",
        *arguments,
        "optimizer.betas=[0.8,0.9]",
        f"resume={finished[0]}",
        f"hydra.run.dir={folder}",
    )
    made = {int(row["step"]): row for row in rows(folder)}
    contents = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    (group,) = contents["optimizer_states"][0]["param_groups"]
    assert group["initial_lr"] == 1e-3
    assert tuple(group["betas"]) == (0.8, 0.9)
    assert all(float(made[step]["lr"]) <= 1e-3 for step in (STEPS + 1, STEPS + 2))


def test_settings_of_the_trainer_may_refer_to_others(small_set, tmp_path):
    profiler = (
        "_target_=pytorch_lightning.profilers.SimpleProfiler",
        "dirpath=${hydra:run.dir}",
        "filename=times",
    )
    run_script(
        "train.py",
        *(*small_set, "trainer.max_steps=2", f"hydra.run.dir={tmp_path / 'run'}"),
        *(f"+trainer.profiler.{setting}" for setting in profiler),
        cwd=tmp_path,
    )
    assert list((tmp_path / "run").glob("*times*"))


def test_moved_run_keeps_its_best(small_set, tmp_path):
    folder, moved = tmp_path / "before", tmp_path / "after"
    run_script("train.py", *small_set, *LONG, f"hydra.run.dir={folder}")
    best = min(float(row["val/score"]) for row in rows(folder) if row["val/score"])
    folder.rename(moved)
    steps = f"trainer.max_steps={STEPS + 3}"
    result = run_script("train.py", *small_set, *LONG, steps, "resume=auto", f"hydra.run.dir={moved}")
    assert "dirpath" not in result.stderr
    contents = torch.load(moved / "checkpoints" / "last.ckpt", weights_only=True)
    (saver,) = (state for state in contents["callbacks"].values() if state.get("monitor") == "val/score")
    assert float(saver["best_model_score"]) <= best
    assert saver["dirpath"] == str(moved / "checkpoints")


def test_missing_labels_and_32_bits(tmp_path):
    arguments = write_small_set(tmp_path / "data")
    (tmp_path / "data" / "small" / "set.000" / "energy.npy").unlink()
    (tmp_path / "data" / "other" / "set.000" / "force_mag.npy").unlink()
    for name in ("small", "other", "validation"):
        (tmp_path / "data" / name / "set.000" / "virial.npy").unlink()
    result = run_script(
        "train.py", *arguments, "trainer.precision=32-true", f"hydra.run.dir={tmp_path / 'run'}"
    )
    assert "No energy in train: small" in result.stdout
    assert "No force_mag in train: other" in result.stdout
    assert "No virial" not in result.stdout, "the loss does not ask for it"
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["val"]["rmse_v"] is None
    assert summary["val"]["rmse_fm"] > 0
    state = weights(tmp_path / "run")
    assert state["potential.descriptor.davg"].dtype == torch.float32
    assert state["potential.energy_bias"].dtype == torch.float64


def test_a_batch_without_a_label_logs_no_error_of_it(tmp_path):
    arguments = write_small_set(tmp_path / "data")
    (tmp_path / "data" / "small" / "set.000" / "force_mag.npy").unlink()
    steps = ["trainer.max_steps=8", "data.batch_size=1", "trainer.val_check_interval=8"]
    run_script("train.py", *arguments, *steps, f"hydra.run.dir={tmp_path / 'run'}")
    logged = [row["train/rmse_fm"] for row in rows(tmp_path / "run")]
    assert "" in logged
    there = [value for value in logged if value]
    assert there
    assert len(set(there)) == len(there), "no value twice"


@pytest.mark.parametrize("logger", ["tensorboard", "none"])
def test_loggers(small_set, tmp_path, logger):
    pytest.importorskip(logger) if logger != "none" else None
    folder = tmp_path / "run"
    run_script("train.py", *small_set, f"logger={logger}", f"hydra.run.dir={folder}")
    assert (folder / "metrics.csv").exists() == (logger != "none")
    if logger == "tensorboard":
        assert list(folder.glob("tensorboard/events.*"))


def test_early_stopping_clipping_and_workers(small_set, tmp_path):
    folder = tmp_path / "run"
    run_script(
        "train.py",
        *small_set,
        "callbacks=[default,early_stopping]",
        "callbacks.early_stopping.patience=1",
        "callbacks.early_stopping.min_delta=1e9",
        "trainer.gradient_clip_val=1.0",
        "trainer.max_steps=40",
        "trainer.val_check_interval=2",
        "data.num_workers=1",
        f"hydra.run.dir={folder}",
    )
    assert json.loads((folder / "summary.json").read_text())["steps"] == 4


@pytest.mark.slow
def test_the_interpolated_embedding_trains_as_the_evaluated_one(tmp_path):
    """Same start, same batches: the losses of 200 steps."""
    arguments = write_small_set(tmp_path / "data")
    steps = ["trainer.max_steps=200", "trainer.val_check_interval=50", "trainer.log_every_n_steps=10"]
    losses = []
    for radial in ("direct", "collocated"):
        folder = tmp_path / radial
        how = [f"model.descriptor.radial={radial}", f"hydra.run.dir={folder}"]
        result = run_script("train.py", *arguments, *steps, *how)
        losses.append([float(row["train/loss"]) for row in rows(folder) if row["train/loss"]])
    assert len(losses[0]) == 20
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)
    found = json.loads((folder / "summary.json").read_text())["collocation"]
    assert found["energy"] <= 1e-8
    assert found["force"] <= 1e-7
    numbers = [number for row in found["nodes"] for number in row]
    assert f"between up to {max(numbers)} nodes" in result.stdout


@pytest.mark.slow
def test_a_run_goes_on_with_the_other_evaluation(small_set, tmp_path):
    folder = tmp_path / "run"
    run_script("train.py", *small_set, f"hydra.run.dir={folder}", "model.descriptor.radial=direct")
    assert json.loads((folder / "summary.json").read_text())["evaluation"] == "direct"
    more = ["resume=auto", "trainer.max_steps=6", f"hydra.run.dir={folder}"]
    run_script("train.py", *small_set, *more)
    assert json.loads((folder / "summary.json").read_text())["steps"] == 6
