"""metrics.csv: one row per logged step, training and validation side by side, complete at any moment.

Checkpoints are written once the rows of before are on the disk (checkpoint_io).
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
GRADIENT_NORM = "grad_norm/"  # how the columns of callbacks=gradient_norms begin
FURTHER = (GRADIENT_NORM, *(part.pref for part in PARTS), "label_scale_fm/")
"""How columns begin that a file has only where its run logs them."""


class MetricsCsv(Logger):
    """Writes FOLDER/metrics.csv.

    Lightning's own CSVLogger deletes the file of the run it resumes and writes training and validation of a
    step into two rows.

    resumed: what the run goes on from; later rows of the file are dropped, being made again.
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
        """Add to the row of a step, and write it."""
        own = {name: metrics[name] for name in metrics if name in COLUMNS or _is_further(name)}
        known = {name: value for name, value in own.items() if not math.isnan(value)}
        if not known:
            return
        if not self._columns:
            # Not before: a run that is refused must leave the folder as it was.
            self._rewrite([*COLUMNS, *known], self._keep_until)
        elif not known.keys() <= set(self._columns) or not self.path.exists():
            # The row of this step, if it was begun, is written anew at the end.
            self._rewrite([*self._columns, *known], (step or 0) - 1)
        if self._row.get("step") != step:
            self._row, self._row_start = {"step": step}, self.path.stat().st_size
        self._row.update(known)
        with named(self.path), self.path.open("r+") as file:
            file.seek(self._row_start)
            file.write(_line(self._row, self._columns))
            file.truncate()

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: the run folder has config.yaml."""

    def _rewrite(self, columns: list[str], keep_until: int) -> None:
        """The file with these columns, once each, beside its own; rows after a step are dropped."""
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
