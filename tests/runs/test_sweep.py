"""The table of a sweep, from run folders made by hand and by a real multirun."""

import csv
import json

import numpy as np
import pytest
from omegaconf import OmegaConf

from spinpot.core.errors import InputError
from spinpot.core.quantities import QUANTITIES
from spinpot.runs.runs import read_runs, swept_keys
from spinpot.runs.sweep import write_sweep_table
from spinpot.runs.sweep_plots import labels
from support.cli import run_script
from support.folders import write_small_set
from support.html import Page, assert_self_contained


def make_run(folder, fm, score):
    folder.mkdir(parents=True)
    config = {"seed": 0, "loss": {"start_pref_fm": fm, "start_pref_e": 0.02}, "data": {"train": ["a"]}}
    OmegaConf.save(config, folder / "config.yaml")
    if score is not None:
        val = dict.fromkeys((q.rmse for q in QUANTITIES.values()), score / 100) | {
            "rmse_v": None,
            "score": score,
        }
        (folder / "summary.json").write_text(json.dumps({"val": val, "train_seconds": 3.0}))


@pytest.fixture
def sweep(tmp_path):
    for name, fm, score in (("0", 1.0, 0.7), ("1", 10.0, 0.3), ("2", 100.0, None)):
        make_run(tmp_path / name, fm, score)
    return tmp_path


def test_rows_are_sorted_and_unfinished_runs_are_kept(sweep, capsys):
    with write_sweep_table(sweep).open() as file:
        rows = list(csv.DictReader(file))
    assert [row["run"] for row in rows] == ["1", "0", "2"]
    assert [row["state"] for row in rows] == ["finished", "finished", "unfinished"]
    assert [float(row["loss.start_pref_fm"]) for row in rows] == [10.0, 1.0, 100.0]
    assert rows[0]["rmse_v"] == ""
    assert (sweep / "sweep.png").stat().st_size > 1000


def test_the_page(sweep):
    make_run(sweep / "<b>", 1000.0, None)
    (sweep / "1" / "report.html").write_text("the run's own")
    (sweep / "2" / "metrics.csv").write_text("step,val/score,val/rmse_e\n40,0.9,\n50,,0.02\n")
    write_sweep_table(sweep)
    page = Page.of(sweep / "report.html")
    assert_self_contained(page)
    head, *rows = page.tables["table 0"]
    assert head[:3] == ["run", "loss. start_pref_fm", "score"]
    assert head[3:] == [
        "energy meV/atom",
        "force meV/Å",
        "magnetic force meV/μ B",
        "transverse meV/μ B",
        "longitudinal meV/μ B",
        "training time",
    ]
    assert rows[0] == ["1", "10", "0.300", *5 * ["3.00"], "3.0 s"]
    assert rows[1] == ["0", "1", "0.700", *5 * ["7.00"], "3.0 s"]
    unfinished = {row[0]: row[2:] for row in rows[2:]}
    assert unfinished == {
        name: [*6 * ["–"], "–"] for name in ("2 unfinished: at step 50", "<b> unfinished: no step logged")
    }
    assert [link["href"] for link in page.all("a") if "report.html" in link["href"]] == ["1/report.html"]
    assert "Sweep over start_pref_fm" in page.text
    assert "4 runs, 2 of them unfinished" in page.text
    assert "loss.start_pref_e: 0.02" in page.text
    alts = {image["alt"].split(" on ")[0] for image in page.all("img")}
    assert {"The score", "The energy"} <= alts


def test_errors_per_element(sweep, capsys):
    """All of them in the file; on the page the parts of the magnetic force, where they differ."""
    path = sweep / "1" / "summary.json"
    summary = json.loads(path.read_text())
    for quantity in ("fr", "fm_transverse", "fm_longitudinal"):
        summary["val"] |= {f"rmse_{quantity}/Fe": 0.001, f"rmse_{quantity}/Ni": 0.002}
    path.write_text(json.dumps(summary))
    with write_sweep_table(sweep).open() as file:
        rows = list(csv.DictReader(file))
    assert [row["rmse_fm_transverse/Ni"] for row in rows] == ["0.002", "", ""]
    assert rows[0]["rmse_fr/Fe"] == "0.001"
    head, best, *_ = Page.of(sweep / "report.html").tables["table 0"]
    found = dict(zip(head, best, strict=True))
    assert found["transverse Ni meV/μ B"] == "2.00"
    assert found["longitudinal Fe meV/μ B"] == "1.00"
    assert not any(name.startswith("force Ni") for name in head)
    assert "Fm⊥" in capsys.readouterr().out


def test_runs_on_other_validation_frames_are_told(sweep):
    for name in ("0", "1"):
        path = sweep / name / "summary.json"
        summary = json.loads(path.read_text())
        path.write_text(json.dumps(summary | {"data": {"validation": {"fingerprint": f"print{name}"}}}))
    write_sweep_table(sweep)
    assert "(fingerprints print0, print1)" in Page.of(sweep / "report.html").text


def test_a_sweep_of_which_nothing_is_finished(tmp_path):
    make_run(tmp_path / "0", 1.0, None)
    write_sweep_table(tmp_path)
    page = Page.of(tmp_path / "report.html")
    assert_self_contained(page)
    assert "There is nothing to compare yet." in page.text
    assert not page.all("img")


def test_near_points_share_a_label():
    points = np.array([[1.0, 1.0], [1.01, 1.01], [2.0, 1.0], [2.0, 2.0]])
    places = labels(["a", "b", "c", "d"], points)
    assert places == {
        "a, b": (1, 1),
        "c": (2, 1),
        "d": (2, 2),
    }


def test_only_what_differs_was_swept(sweep):
    assert swept_keys(read_runs(sweep)) == ["loss.start_pref_fm"]


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}"])
def test_a_damaged_run_spoils_no_other(sweep, damage, capsys):
    (sweep / "0" / "summary.json").write_text(damage)
    (sweep / "2" / "config.yaml").write_text(damage)
    with write_sweep_table(sweep).open() as file:
        states = {row["run"]: row["state"] for row in csv.DictReader(file)}
    assert states == {"1": "finished", "0": "unfinished"}
    assert f"Left out: {sweep}/2/config.yaml is " in capsys.readouterr().out


def test_damaged_lines_of_a_finished_run_are_said(sweep, capsys):
    for name in ("0", "2"):
        (sweep / name / "metrics.csv").write_text("step,val/score\n10,0.9\n2")
    write_sweep_table(sweep)
    file = sweep / "0" / "metrics.csv"
    said = f"{file}: 1 damaged line, perhaps from a crash, is left out of the pictures.\n"
    assert said in capsys.readouterr().out


def test_folder_without_runs(tmp_path):
    with pytest.raises(InputError, match="no run folder"):
        write_sweep_table(tmp_path)


@pytest.mark.slow
def test_a_real_sweep_with_a_job_that_fails(tmp_path):
    run_script(
        "train.py",
        "-m",
        *write_small_set(tmp_path / "data"),
        "loss.start_pref_fm=1000,10000",
        "scheduler.warmup_steps=0,99",
        f"hydra.sweep.dir={tmp_path / 'sweep'}",
        check=False,
    )
    result = run_script("sweep_table.py", str(tmp_path / "sweep"))
    with (tmp_path / "sweep" / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["loss.start_pref_fm"] for row in rows} == {"1000", "10000"}
    states = [(row["state"], row["scheduler.warmup_steps"]) for row in rows]
    assert states == 2 * [("finished", "0")] + 2 * [("failed", "99")]
    assert all("scheduler.warmup_steps=99" in row["message"] for row in rows[2:])
    assert "score" in result.stdout


def test_optimized_metric_misspelt(tmp_path):
    result = run_script(
        "train.py", *write_small_set(tmp_path / "data"), "optimized_metric=rmse_f", check=False
    )
    assert result.returncode == 1
    assert "rmse_fr" in result.stderr
    assert "Traceback" not in result.stderr
