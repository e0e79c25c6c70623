"""The commands of docs/interop.md in their own processes, from deepmd-kit's model to a run and back."""

import json
import shutil

import numpy as np
import pytest

from spinpot.models.deepspin.deepmd.dp_file import read_dp
from spinpot.models.deepspin.deepmd.potentials import read_deepmd
from support.cli import PROJECT, run_python, run_script
from support.deepmd_files import REFERENCE, differences
from support.folders import labelled_by_a_potential, write_npy, write_small_set
from support.in_process import run_here


@pytest.mark.slow
def test_there_and_back(tmp_path):
    shutil.copy(REFERENCE / "frozen.pth", tmp_path)
    run_script("convert.py", "frozen.pth", "frozen.ckpt", cwd=tmp_path)
    said = run_script("convert.py", "frozen.ckpt", "back.dp", cwd=tmp_path).stdout
    assert "pair_style deepspin back.pth; pair_coeff * * O Ni" in said
    back, there = read_dp(tmp_path / "back.dp"), read_dp(REFERENCE / "o_ni_davg_zero.dp")
    assert differences(back["model"], there["model"]) == []


@pytest.mark.slow
def test_a_converted_model_is_evaluated_and_begun_with(tmp_path):
    shutil.copy(REFERENCE / "ni_o_two_sided.dp", tmp_path)
    data = write_small_set(tmp_path)
    run_script("convert.py", "ni_o_two_sided.dp", "there.ckpt", cwd=tmp_path)
    # Its sel is for its own frames; here there are more neighbours, and that must be said.
    refused = run_script("train.py", *data, "init_from=there.ckpt", cwd=tmp_path, check=False)
    assert refused.returncode == 1
    assert "do not fit the model in the file" in refused.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("model", ["frozen.pth", "training.pt", "o_ni_davg_zero.dp"])
def test_a_model_of_deepmd_is_evaluated_as_its_checkpoint(model, tmp_path):
    write_npy(tmp_path / "frames", labelled_by_a_potential(1, 3))
    assert run_here("convert.py", str(REFERENCE / model), "same.ckpt", cwd=tmp_path).returncode == 0
    found = {}
    for name, file in (("own", REFERENCE / model), ("same", "same.ckpt")):
        arguments = (f"checkpoint={file}", "systems=[frames]", f"output={name}")
        result = run_here("evaluate.py", *arguments, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        found[name] = json.loads((tmp_path / name / "evaluation.json").read_text())
        assert found[name].pop("checkpoint") == str(file)
    assert found["own"] == found["same"]
    assert found["own"]["rmse_fm"] > 0.0


@pytest.mark.slow
def test_a_run_begun_with_another(tmp_path):
    data = write_small_set(tmp_path)
    run_script("train.py", *data, "hydra.run.dir=first", cwd=tmp_path)
    run_script("convert.py", "first/checkpoints/best.ckpt", "first.dp", cwd=tmp_path)
    begun = ["init_from=first.dp", "init_from_bias=refit", "hydra.run.dir=second"]
    said = run_script("train.py", *data, *begun, cwd=tmp_path).stdout
    assert "The model is that of" in said
    assert "Energy bias refitted" in said
    assert json.loads((tmp_path / "second" / "summary.json").read_text())["steps"] == 4
    assert read_deepmd(tmp_path / "first.dp").potential.spec.type_map == ("Ni", "O")


@pytest.mark.slow
def test_from_frames_to_a_plot(tmp_path):
    write_npy(tmp_path / "frames", labelled_by_a_potential(1, 3))
    data = write_small_set(tmp_path / "set")
    run_script("train.py", *data, "hydra.run.dir=run", cwd=tmp_path)
    example = PROJECT / "examples" / "frames_to_plot.py"
    done = run_python([example, "run/checkpoints/best.ckpt", "frames", "plot.png"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "3 frames, rmse" in done.stdout
    assert (tmp_path / "plot.png").stat().st_size > 1000


@pytest.mark.slow
def test_prepared_frames_train(tmp_path):
    write_npy(tmp_path / "all", labelled_by_a_potential(1, 10))
    run_script(
        "prepare_data.py", "all", "prepared", "--split", "0.6", "0.2", "0.2", "--block", "2", cwd=tmp_path
    )
    sets = [f"data.{name}=[prepared/{name}]" for name in ("train", "validation", "test")]
    run_script("train.py", "data=npy", *sets, "debug=fast", "report=false", "hydra.run.dir=run", cwd=tmp_path)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["data"]["train"]["frames"] == 6
    assert np.isfinite(summary["test"]["rmse_e"])
