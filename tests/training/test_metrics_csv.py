"""Columns that come and go with callbacks=[default,gradient_norms], and lines damaged by a crash."""

import csv
from pathlib import Path

import pytest

from spinpot.runs.metrics_file import read_metrics_file
from spinpot.training.metrics_csv import COLUMNS, MetricsCsv
from spinpot.training.resume import Resumed


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return [{key: value for key, value in row.items() if value} for row in csv.DictReader(file)]


def test_gradient_norms_get_columns_whenever_they_come(tmp_path: Path) -> None:
    log = MetricsCsv(tmp_path)
    log.log_metrics({"val/score": 1.0, "throughput/seconds_per_step": 1.0}, 1)
    log.log_metrics({"lr": 0.5}, 2)
    log.log_metrics({"grad_norm/total": 3.0}, 2)
    log.log_metrics({"val/score": 2.0}, 2)
    log.log_metrics({"grad_norm/total": 4.0, "lr": 0.25}, 3)
    assert rows(tmp_path) == [
        {"step": "1", "val/score": "1.0"},
        {"step": "2", "lr": "0.5", "grad_norm/total": "3.0", "val/score": "2.0"},
        {"step": "3", "lr": "0.25", "grad_norm/total": "4.0"},
    ]
    header = (tmp_path / "metrics.csv").read_text().splitlines()[0]
    assert header.split(",") == [*COLUMNS, "grad_norm/total"]


def test_a_resumed_run_keeps_the_columns_it_no_longer_fills(tmp_path: Path) -> None:
    log = MetricsCsv(tmp_path)
    for step in (1, 2):
        log.log_metrics({"lr": 0.5, "grad_norm/total": 3.0}, step)
    MetricsCsv(tmp_path, Resumed(tmp_path / "last.ckpt", 1, {}, {})).log_metrics({"lr": 0.25}, 2)
    assert rows(tmp_path) == [
        {"step": "1", "lr": "0.5", "grad_norm/total": "3.0"},
        {"step": "2", "lr": "0.25"},
    ]


HEADER = "step,lr,val/score\n"
WHOLE = "5,0.1,1.0\n10,0.2,0.9\n"


@pytest.mark.parametrize(
    "end",
    [
        "2",
        "15,0.3",
        "15,0.3,0.8",
        "\0\0\0\0",
        "x",
        "x,0.3,0.8\n",
        ",0.3,0.8\n",
        "9,0.3,0.8\n",
        "15,0.3\n",
        "\0\0,\0,\n",
    ],
)
def test_a_damaged_last_line_is_dropped_with_a_line(end: str, tmp_path: Path, capsys) -> None:
    file = tmp_path / "metrics.csv"
    file.write_text(HEADER + WHOLE + end)
    MetricsCsv(tmp_path, Resumed(tmp_path / "last.ckpt", 20, {}, {})).log_metrics({"lr": 0.25}, 25)
    assert capsys.readouterr().out == f"{file}: 1 damaged line, perhaps from a crash, is dropped.\n"
    assert [row.get("step") for row in rows(tmp_path)] == ["5", "10", "25"]
    assert rows(tmp_path)[1] == {"step": "10", "lr": "0.2", "val/score": "0.9"}


def test_a_whole_file_is_kept_without_a_word(tmp_path: Path, capsys) -> None:
    (tmp_path / "metrics.csv").write_text(HEADER + WHOLE)
    MetricsCsv(tmp_path, Resumed(tmp_path / "last.ckpt", 20, {}, {})).log_metrics({"lr": 0.25}, 25)
    assert not capsys.readouterr().out
    assert [row["step"] for row in rows(tmp_path)] == ["5", "10", "25"]


def test_a_file_without_its_header(tmp_path: Path, capsys) -> None:
    (tmp_path / "metrics.csv").write_text("\0\0\0")
    MetricsCsv(tmp_path, Resumed(tmp_path / "last.ckpt", 20, {}, {})).log_metrics({"lr": 0.25}, 25)
    assert "1 damaged line, perhaps from a crash, is dropped." in capsys.readouterr().out
    assert rows(tmp_path) == [{"step": "25", "lr": "0.25"}]


def test_pages_leave_damaged_lines_out(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text(HEADER + WHOLE + "1")
    assert read_metrics_file(tmp_path / "metrics.csv").arrays()["step"].tolist() == [5.0, 10.0]
