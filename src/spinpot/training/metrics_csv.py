"""metrics.csv: one row per logged step with training and validation errors; complete at any moment.

checkpoint_io syncs it to disk before each checkpoint.
"""

import math
from argparse import Namespace
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from spinpot.core.files import named, write_atomically
from spinpot.core.quantities import PARTS, QUANTITIES, SCALED, WHOLE
from spinpot.runs.metrics_file import read_metrics_file, say_damaged
from spinpot.training.resume import Resumed

_ERRORS = ("loss", *(quantity.rmse for quantity in QUANTITIES.values()))
COLUMNS = (
    "step",
    "lr",
    *(quantity.pref for quantity in WHOLE),
    *(f"train/{name}" for name in _ERRORS),
    *(f"val/{name}" for name in _ERRORS),
    "val/score",
)
GRADIENT_NORM = "grad_norm/"  # prefix of the columns of callbacks=gradient_norms
FURTHER = (GRADIENT_NORM, *(part.pref for part in PARTS), "label_scale_fm/")
"""Prefixes of optional columns, present only if the run logs them."""


class MetricsCsv(Logger):
    """Writes FOLDER/metrics.csv.

    Lightning's CSVLogger deletes the file of a resumed run, and writes training and validation of a step to
    two rows.

    resumed: the checkpoint that the run resumes. Rows of later steps are dropped; the run logs them again.
    """

    name, version, save_dir = "", "", ""  # the run folder is the log's folder

    def __init__(self, folder: Path, resumed: Resumed | None = None) -> None:
        super().__init__()
        self.save_dir = str(folder)
        self.path = folder / "metrics.csv"
        self._row: dict[str, Any] = {}
        self._keep_until = resumed.step if resumed else 0
        self._columns: list[str] = []

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Add metrics to the row of a step and write the row."""
        own = {name: metrics[name] for name in metrics if name in COLUMNS or _is_further(name)}
        known = {name: value for name, value in own.items() if not math.isnan(value)}
        if not known:
            return
        if not self._columns:
            # Not earlier: a run that fails its checks must leave the folder unchanged.
            self._rewrite([*COLUMNS, *known], self._keep_until)
        elif not known.keys() <= set(self._columns) or not self.path.exists():
            # Drops a partial row of this step; it is written again below.
            self._rewrite([*self._columns, *known], (step or 0) - 1)
        if self._row.get("step") != step:
            self._row, self._row_start = {"step": step}, self.path.stat().st_size
        self._row.update(known)
        with named(self.path), self.path.open("r+") as file:
            file.seek(self._row_start)
            file.write(_line(self._row, self._columns))
            file.truncate()

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the run folder has config.yaml."""

    def _rewrite(self, columns: list[str], keep_until: int) -> None:
        """Rewrite the file: add the columns that it lacks, and drop the rows after step keep_until."""
        rows: list[dict[str, str]] = []
        if self.path.exists():
            found = read_metrics_file(self.path)
            say_damaged(self.path, found, "dropped")
            rows = [row for row in found.rows if int(row["step"]) <= keep_until]
            columns = [*columns, *filter(_is_further, found.columns)]
        self._columns = list(dict.fromkeys(columns))
        header = {name: name for name in self._columns}
        write_atomically(self.path, "".join(_line(row, self._columns) for row in (header, *rows)))
        self._row_start = self.path.stat().st_size


def _is_further(name: str) -> bool:
    return name.startswith(FURTHER) or name.endswith(SCALED)


def _line(row: dict[str, Any], columns: list[str]) -> str:
    return ",".join(str(row.get(name, "")) for name in columns) + "\n"
