"""Reads the runs of a sweep from disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spinpot.config.app import FAILURE
from spinpot.config.rerun import read_settings
from spinpot.core.console import print_line
from spinpot.core.errors import InputError
from spinpot.core.files import read_object
from spinpot.runs.metrics_file import read_columns


@dataclass(frozen=True)
class Run:
    """A run of a sweep: settings by dotted key, summary (empty if unfinished), and message if it failed."""

    folder: Path
    settings: dict[str, Any]
    summary: dict[str, Any]
    failure: str | None = None

    @property
    def state(self) -> str:
        """`finished`, `failed` or `unfinished`."""
        if self.summary:
            return "finished"
        return "unfinished" if self.failure is None else "failed"

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def errors(self) -> dict[str, float | None]:
        """The validation errors by name; none if unfinished."""
        return dict(self.summary.get("val", {}))

    def metrics(self) -> dict[str, np.ndarray]:
        """The columns of metrics.csv; empty if there is no file."""
        # Damage in an unfinished run is not reported: its last line may be incomplete at this moment.
        return read_columns(self.folder / "metrics.csv", say=bool(self.summary))


def read_runs(folder: Path) -> list[Run]:
    """All readable runs and failed jobs below a folder. Raises InputError if there are none."""
    runs = []
    found = {file.parent for name in ("config.yaml", FAILURE) for file in folder.glob(f"*/{name}")}
    for place in sorted(found):
        failure = read_object(place / FAILURE)
        try:
            settings = failure.get("config") or read_settings(place / "config.yaml")
        except InputError as error:
            print_line(f"Left out: {error}")
        else:
            runs.append(Run(place, flat(settings), _summary(place), failure.get("message")))
    if not runs:
        raise InputError(f"{folder} contains no run folder (with a config.yaml). Give the folder of a sweep.")
    return runs


def _summary(folder: Path) -> dict[str, Any]:
    """The summary of a run; empty if it is missing or damaged."""
    summary = read_object(folder / "summary.json")
    errors = summary.get("val")
    return summary if isinstance(errors, dict) and "score" in errors else {}


def flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one dict with dotted keys; lists are not flattened."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def short(value: Any) -> Any:
    """A float as text with four digits; anything else unchanged."""
    return f"{value:.4g}" if isinstance(value, float) else value


DERIVED = ("data.seed", "optimizer.lr")  # settings that the configs derive from others


def swept_keys(runs: Sequence[Run]) -> list[str]:
    """The settings that differ between the runs."""
    keys = [key for key in dict.fromkeys(key for run in runs for key in run.settings) if key not in DERIVED]
    return [key for key in keys if any(run.settings.get(key) != runs[0].settings.get(key) for run in runs)]
