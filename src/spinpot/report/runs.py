"""The runs of a sweep as they lie on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spinpot.config.rerun import read_settings
from spinpot.console import console
from spinpot.errors import InputError
from spinpot.metrics_file import read_metrics_file, say_damaged
from spinpot.report.plots import read_metrics


@dataclass(frozen=True)
class Run:
    """A run of a sweep: its folder, settings by dotted key, and summary, None if unfinished."""

    folder: Path
    settings: dict[str, Any]
    summary: dict[str, Any] | None

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    def error(self, name: str) -> float | None:
        """A validation error, None where there is none."""
        return None if self.summary is None else self.summary["val"].get(name)

    def metrics(self) -> dict[str, np.ndarray]:
        """The columns of metrics.csv; empty where the run wrote none."""
        file = self.folder / "metrics.csv"
        if not file.exists():
            return {}
        if self.summary is not None:  # the last line of an unfinished run may be just being written
            say_damaged(file, read_metrics_file(file), "left out of the pictures")
        return read_metrics(file)


def read_runs(folder: Path) -> list[Run]:
    """Every run below a folder; one whose config cannot be read is left out, in words.

    Raises InputError if there is none.
    """
    runs = []
    for config in sorted(folder.glob("*/config.yaml")):
        try:
            settings = flat(read_settings(config))
        except InputError as error:
            console.print(f"Left out: {error}", markup=False, soft_wrap=True)
        else:
            runs.append(Run(config.parent, settings, _summary(config.parent)))
    if not runs:
        raise InputError(f"{folder}: no run folder (with a config.yaml) in it. Give the folder of a sweep.")
    return runs


def _summary(folder: Path) -> dict[str, Any] | None:
    """A run's summary; None where there is none or it is damaged."""
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        return summary if "score" in summary["val"] else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted key; lists stay whole."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def short(value: Any) -> Any:
    """A float with the four digits that one reads; anything else as it is."""
    return f"{value:.4g}" if isinstance(value, float) else value


DERIVED = ("data.seed", "optimizer.lr")
"""Settings that the configs take from others."""


def swept_keys(runs: Sequence[Run]) -> list[str]:
    """The settings that are not the same in all runs."""
    keys = [key for key in dict.fromkeys(key for run in runs for key in run.settings) if key not in DERIVED]
    return [key for key in keys if any(run.settings.get(key) != runs[0].settings.get(key) for run in runs)]
