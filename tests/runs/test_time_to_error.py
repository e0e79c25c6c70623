"""The first step within given errors, from run folders made by hand."""

import json

import pytest

from spinpot.core.errors import InputError
from spinpot.runs.time_to_error import read_course, table, write_time_to_error
from support.in_process import run_here

BOUNDS = {"fr": 6.2e-3, "fm": 8.3e-3}
ROWS = ((10, 9e-3, 9e-3), (20, 6e-3, 9e-3), (30, 7e-3, 8e-3), (40, 6e-3, 8e-3), (50, 5e-3, 8.5e-3))


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "adam"
    folder.mkdir()
    lines = ["step,train/loss,val/rmse_fr,val/rmse_fm", "5,1.0,,"]
    lines += [f"{step},1.0,{fr},{fm}" for step, fr, fm in ROWS]
    (folder / "metrics.csv").write_text("\n".join(lines) + "\n")
    (folder / "summary.json").write_text(json.dumps({"seconds_per_step": 0.5}))
    return folder


def test_both_bounds_at_once(run):
    course = read_course(run, list(BOUNDS))
    assert course.step.tolist() == [10, 20, 30, 40, 50]
    assert course.first_step(BOUNDS) == 40
    assert course.first_step({"fr": 6.2e-3}) == 20
    assert course.first_step({"fr": 1e-3}) is None


def test_table(run):
    made = table([read_course(run, list(BOUNDS))], BOUNDS).splitlines()[-1]
    assert made == "| adam | 0.5000 | 40 | 20 | 5.00 | 8.00 |"


def test_picture(run, tmp_path):
    write_time_to_error([read_course(run, list(BOUNDS))], BOUNDS, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_command(run, tmp_path):
    result = run_here("time_to_error.py", str(run), "--fm", "1e-9", cwd=tmp_path)
    assert result.returncode == 0
    assert "| adam | 0.5000 | – | – |" in result.stdout


def test_a_run_that_has_not_ended(run):
    (run / "summary.json").write_text('{"seconds_per_step": null}')
    with pytest.raises(
        InputError, match="has no seconds_per_step, because the run was too short to measure it"
    ):
        read_course(run, list(BOUNDS))
    (run / "summary.json").write_text("{")
    with pytest.raises(InputError, match="holds no finished run"):
        read_course(run, list(BOUNDS))
    (run / "summary.json").unlink()
    with pytest.raises(InputError, match=r"holds no finished run: it has no summary\.json\. "):
        read_course(run, list(BOUNDS))


def test_a_run_without_labels(run):
    with pytest.raises(InputError, match="has no val/rmse_v"):
        read_course(run, ["v"])
