"""metrics.csv: one row per logged step, training and validation side by side, complete at any moment."""

from __future__ import annotations

import csv
import io
from argparse import Namespace
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

_ERRORS = ("loss", "rmse_e", "rmse_fr", "rmse_fm", "rmse_fm_transverse", "rmse_fm_longitudinal", "rmse_v")
COLUMNS = (
    "step",
    "lr",
    *(f"pref_{name}" for name in ("e", "fr", "fm", "v")),
    *(f"train/{name}" for name in _ERRORS),
    *(f"val/{name}" for name in _ERRORS),
    "val/score",
)


class MetricsCsv(Logger):
    """Writes FOLDER/metrics.csv.

    Lightning's own CSVLogger deletes the file of the run it resumes and writes training and validation of a
    step into two rows.

    keep_until: the step a resumed run goes on from; later rows of the file are dropped, being made again.
    """

    def __init__(self, folder: Path, keep_until: int = 0) -> None:
        super().__init__()
        self.path = folder / "metrics.csv"
        self._row: dict[str, Any] = {}
        self._keep_until = keep_until
        self._begun = False

    @property
    def name(self) -> str:
        """Empty: the run folder is the log's folder."""
        return ""

    @property
    def version(self) -> str:
        """Empty, as the name."""
        return ""

    @property
    def save_dir(self) -> str:
        """The run folder."""
        return str(self.path.parent)

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Add to the row of a step, and write it."""
        known = {key: value for key, value in metrics.items() if key in COLUMNS}
        if not known:
            return
        if not self._begun:
            # Not before: a run that is refused must leave the folder as it was.
            self._write_all(self._read_rows())
            self._begun = True
        if self._row.get("step") != step:
            self._row = {"step": step}
            with self.path.open("a") as file:
                self._row_start = file.tell()
        self._row.update(known)
        with self.path.open("r+") as file:
            file.seek(self._row_start)
            file.write(_line(self._row))
            file.truncate()

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: the run folder has config.yaml."""

    def _read_rows(self) -> list[dict[str, str]]:
        if not self.path.exists():
            return []
        with self.path.open(newline="") as file:
            return [row for row in csv.DictReader(file) if int(row["step"]) <= self._keep_until]

    def _write_all(self, rows: list[dict[str, str]]) -> None:
        header = _line({key: key for key in COLUMNS})
        self.path.write_text(header + "".join(_line(row) for row in rows))


def _line(row: dict[str, Any]) -> str:
    text = io.StringIO()
    csv.DictWriter(text, COLUMNS, lineterminator="\n").writerow(row)
    return text.getvalue()
