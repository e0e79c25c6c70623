"""Runs on sets that stay on disk, by the real commands."""

import csv
import json

import numpy as np
import pytest

from support.folders import labelled_by_a_potential, write_npy
from support.in_process import run_here, the_message

BAD = 9


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_npy(folder / "train", labelled_by_a_potential(1, 12))
    write_npy(folder / "validation", labelled_by_a_potential(3, 6))
    return folder


def train(place, run, *arguments):
    sets = [f"data.{name}=[{place / name}]" for name in ("train", "validation")]
    small = ["data=npy", "debug=fast", "report=false", "model.descriptor.rcut=4.0", f"hydra.run.dir={run}"]
    small += ["data.sample=4", "data.batch_size=1", "trainer.val_check_interval=2", "scheduler.stop_lr=5e-3"]
    return run_here("train.py", *small, *sets, *arguments, cwd=place)


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


def test_a_broken_frame_ends_a_run_or_is_left_out(place, tmp_path):
    arrays = labelled_by_a_potential(1, 12)
    write_npy(tmp_path / "train", arrays)
    (tmp_path / "validation").symlink_to(place / "validation")
    file = tmp_path / "train/set.000/force.npy"
    force = np.load(file)
    force.reshape(12, -1)[BAD, 5] = np.nan
    np.save(file, force)
    for seed in range(50):  # one whose sample does not have the frame, which comes after the third step
        rng = np.random.default_rng([seed, 0])
        sampled = np.random.default_rng([seed, 2]).choice(12, 4, replace=False)
        if BAD not in sampled and list(rng.permutation(12)).index(BAD) > 3:
            break
    result = train(tmp_path, tmp_path / "run", "trainer.max_steps=14", f"seed={seed}")
    assert result.returncode == 1
    said = the_message(result)
    assert f"train/set.000/force.npy, frame {BAD}, atom 1" in said
    assert "leave such frames out by data.skip_broken=true" in said
    predictor = run_here(
        "evaluate.py",
        f"checkpoint={tmp_path}/run/checkpoints/last.ckpt",
        f"systems=[{tmp_path}/validation]",
        f"output={tmp_path}/evaluated",
        cwd=tmp_path,
    )
    assert predictor.returncode == 0, predictor.stderr
    settings = ("trainer.max_steps=14", f"seed={seed}", "data.skip_broken=true")
    for name, more in (("again", settings), ("run", (*settings, "resume=auto"))):
        result = train(tmp_path, tmp_path / name, *more)
        assert result.returncode == 0, result.stderr
        assert "data.skip_broken left 1 frames of data.train out." in result.stdout
    first, second = (json.loads((tmp_path / name / "summary.json").read_text()) for name in ("again", "run"))
    assert first["val"] == second["val"]
