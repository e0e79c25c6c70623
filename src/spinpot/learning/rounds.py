"""The folder of a round: labels, runs, trajectories, chosen frames, and a record of each finished step."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from spinpot.core.files import read_object, write_atomically

ROUND = "round"
"""Name of the record of a whole round; the record of a step has the name of the step."""


class Round:
    """A round and its folder."""

    def __init__(self, output: Path, number: int) -> None:
        self.number = number
        self.folder = output / f"round_{number:02d}"
        self.labels = self.folder / "labels"
        self.explored = self.folder / "explored"

    def run(self, member: int) -> Path:
        """The run folder of a member of the ensemble."""
        return self.folder / (f"run_{member}" if member else "run")

    def record(self, name: str) -> dict[str, Any]:
        """The record of a step; empty if the step is not finished."""
        return read_object(self.folder / f"{name}.json")

    def step(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Run a step and store its result and time in seconds; if it is finished already, read its record."""
        if known := self.record(name):
            return known
        self.folder.mkdir(parents=True, exist_ok=True)
        begun = time.monotonic()
        found = {**make(), "seconds": round(time.monotonic() - begun, 3)}
        self.keep(name, found)
        return found

    def keep(self, name: str, found: dict[str, Any]) -> None:
        """Write a record atomically."""
        write_atomically(self.folder / f"{name}.json", json.dumps(found, allow_nan=False) + "\n")
