"""Runs on sets that stay on disk, with the real commands."""

import csv
import json

import numpy as np
import pytest

from spinpot import load
from spinpot.models.checkpoint import read_checkpoint
from spinpot.training.module import SpinModule
from support.cli import run_script
from support.folders import ARRAYS, labelled_by_a_potential, write_npy
from support.in_process import run_here, the_message
from support.ranks import assert_same_result

N_FRAMES, STEPS = 100_000, 12
SEED = 25  # whose sixth frame has a higher number than those before it


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_npy(folder / "train", labelled_by_a_potential(1, 12))
    write_npy(folder / "validation", labelled_by_a_potential(3, 6))
    return folder


def settings(place, run):
    sets = [f"data.{name}=[{place / name}]" for name in ("train", "validation")]
    small = ["data=npy", "debug=fast", "report=false", "model.descriptor.rcut=4.0", f"hydra.run.dir={run}"]
    small += ["data.sample=4", "data.batch_size=1", "trainer.val_check_interval=2", "scheduler.stop_lr=5e-3"]
    return [*small, *sets]


def train(place, run, *arguments):
    return run_here("train.py", *settings(place, run), *arguments, cwd=place)


def test_a_run_goes_on_as_if_it_had_not_stopped(place):
    for name, steps in (("whole", (6,)), ("parts", (4, 6))):
        for number in steps:
            result = train(place, place / name, f"trainer.max_steps={number}", "resume=auto")
            assert result.returncode == 0, result.stderr
    assert "data.train has 12 frames" in result.stdout
    assert "changed data" not in result.stdout
    whole, parts = (json.loads((place / name / "summary.json").read_text()) for name in ("whole", "parts"))
    assert whole["val"] == parts["val"]
    assert whole["data"] == parts["data"]
    assert whole["data"]["train"]["frames"] == 12
    assert whole["data"]["train"]["sample"] == 4
    again = run_here("report.py", str(place / "parts"), cwd=place)
    assert again.returncode == 0, again.stderr


def test_a_sample_is_validated_in_between_and_everything_at_the_end(place, tmp_path):
    result = train(place, tmp_path / "run", "trainer.max_steps=4", "data.validation_frames=2", "report=true")
    assert result.returncode == 0, result.stderr
    assert "Validations look at a fixed sample of 2 of 6 frames" in result.stdout
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    evaluated = run_here(
        "evaluate.py",
        f"checkpoint={tmp_path}/run/checkpoints/{summary['checkpoint']['file']}",
        f"systems=[{place}/validation]",
        f"output={tmp_path}/evaluated",
        cwd=tmp_path,
    )
    assert evaluated.returncode == 0, evaluated.stderr
    of_all = json.loads((tmp_path / "evaluated/evaluation.json").read_text())
    for name in ("rmse_e", "rmse_fr", "mae_fm"):
        assert summary["val"][name] == pytest.approx(of_all[name], rel=1e-12)
    with open(tmp_path / "run/metrics.csv") as file:
        rows = [row for row in csv.DictReader(file) if row["val/rmse_fr"]]
    of_best = next(row for row in rows if int(float(row["step"])) == summary["checkpoint"]["step"])
    assert float(of_best["val/rmse_fr"]) != pytest.approx(of_all["rmse_fr"], rel=1e-3)
    assert "on 4 frames of the validation set" in (tmp_path / "run/report.html").read_text()


def _nan_force(arrays, bad):
    arrays["force"][bad, 5] = np.nan


def _atom_on_an_atom(arrays, bad):
    arrays["coord"][bad, 3:6] = arrays["coord"][bad, :3] + 0.01


def _cut_under_way(file, row, module, monkeypatch):
    """The file ends before a row once the training has begun."""
    start = module.on_train_start

    def cut(self):
        with file.open("r+b") as opened:
            opened.truncate(file.stat().st_size - (N_FRAMES - row) * 15 * 4)
        return start(self)

    monkeypatch.setattr(module, "on_train_start", cut)


@pytest.fixture(scope="module")
def many():
    few = labelled_by_a_potential(1, 12)
    arrays = {name: getattr(few, name) for name in ARRAYS}
    return few, {
        name: np.resize(values, (N_FRAMES, values[0].size)).astype(np.float32)
        for name, values in arrays.items()
    }


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_nan_force, "force.npy, frame {}, atom 1"),
        (_atom_on_an_atom, "coord.npy, frame {}: atoms 0"),
        (None, "force.npy: cannot be read (OSError: it "),
    ],
    ids=["NaN force", "atom on an atom", "file cut under way"],
)
def test_a_broken_frame_of_many_ends_a_run_or_is_left_out(place, many, tmp_path, monkeypatch, spoil, said):
    """The seed puts a frame of 100,000 at the sixth step, after two validations."""
    order = np.random.default_rng([SEED, 0]).permutation(N_FRAMES)[:STEPS]
    few, arrays = many
    arrays = {name: values.copy() for name, values in arrays.items()}
    write_npy(tmp_path / "train", few)
    bad = int(order[5])
    if spoil is not None:
        spoil(arrays, bad)
    for name, values in arrays.items():
        np.save(tmp_path / f"train/set.000/{name}.npy", values)
    (tmp_path / "validation").symlink_to(place / "validation")
    if spoil is None:
        assert bad > max(order[:5])
        _cut_under_way(tmp_path / "train/set.000/force.npy", bad, SpinModule, monkeypatch)
    settings = (f"trainer.max_steps={STEPS}", f"seed={SEED}", "data.num_workers=2")
    result = train(tmp_path, tmp_path / "run", *settings)
    message = the_message(result)
    assert f"{tmp_path}/train/set.000/{said.format(bad)}" in message
    assert "set data.skip_broken=true to leave such frames out" in message
    last = tmp_path / "run/checkpoints/last.ckpt"
    assert load(last)
    assert read_checkpoint(last)["global_step"] == 4
    left_out = 1 if spoil else int((order >= bad).sum())
    for name, more in (("again", ()), ("run", ("resume=auto",))):
        if spoil is None:
            np.save(tmp_path / "train/set.000/force.npy", arrays["force"])
        result = train(tmp_path, tmp_path / name, *settings, "data.skip_broken=true", *more)
        assert result.returncode == 0, result.stderr
        assert f"data.skip_broken left out {left_out} frames of data.train." in result.stdout
    first, second = (json.loads((tmp_path / name / "summary.json").read_text()) for name in ("again", "run"))
    assert first["val"] == second["val"]


def on_ranks(size, place, run, *arguments):
    """A run with batches of four frames on all ranks together."""
    count = ["trainer=ddp_cpu", f"trainer.devices={size}", f"data.batch_size={4 // size}"]
    given = [*settings(place, run), "data.sample=10", *count, *arguments]
    return run_script("train.py", *given, cwd=place, check=False)


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_ranks(place, tmp_path):
    """In the middle of a pass over a set just above the sample, with the batches of an uninterrupted run."""
    for name, parts in (("whole", [(1, 8)]), ("parts", [(2, 4), (1, 8)])):
        for size, steps in parts:
            result = on_ranks(size, place, tmp_path / name, f"trainer.max_steps={steps}", "resume=auto")
            assert result.returncode == 0, result.stderr
            assert "data.train has 12 frames" in result.stdout
            assert "changed data" not in result.stdout
    assert_same_result(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.slow
@pytest.mark.parametrize("sampled", [True, False])
def test_a_frame_that_one_rank_finds_broken_ends_all_with_one_message(place, tmp_path, sampled):
    """Of the sample, which the second rank checks; or in the fourth step, when the second rank has it."""
    write_npy(tmp_path / "train", labelled_by_a_potential(1, 12))
    (tmp_path / "validation").symlink_to(place / "validation")
    file = tmp_path / "train/set.000/force.npy"
    force, bad = np.load(file), 9
    for seed in range(500):
        place_in_pass = np.random.default_rng([seed, 0]).permutation(12).tolist().index(bad)
        drawn = np.random.default_rng([seed, 2]).choice(12, 10, replace=False)
        if (bad in drawn) == sampled and place_in_pass == 7:
            break
    force.reshape(12, -1)[bad, 5] = np.nan
    np.save(file, force)
    more = ["data.batch_size=1", "trainer.max_steps=8", f"seed={seed}"]
    result = on_ranks(2, tmp_path, tmp_path / "run", *more)
    assert result.returncode == 1
    assert f"train/set.000/force.npy, frame {bad}, atom 1" in result.stdout + result.stderr
    assert (result.stdout + result.stderr).count("force.npy, frame") == 1
    assert (tmp_path / "run/checkpoints/last.ckpt").exists() == (not sampled)
