"""Columns that come and go with callbacks=[default,gradient_norms]."""

import csv
from pathlib import Path

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
