"""The folder of a round: labels, runs, trajectories, the choice, and a record of each step that is done."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from spinpot.core.files import read_object, write_atomically

ROUND = "round"
"""The record of the whole round; those of its steps have their names."""


class Round:
    """One round in a folder of its own."""

    def __init__(self, output: Path, number: int) -> None:
        self.number = number
        self.folder = output / f"round_{number:02d}"
        self.labels = self.folder / "labels"
        self.explored = self.folder / "explored"

    def run(self, member: int) -> Path:
        """The run folder of a member of the ensemble."""
        return self.folder / (f"run_{member}" if member else "run")

    def record(self, name: str) -> dict[str, Any]:
        """What a step has left; empty if it is not done."""
        return read_object(self.folder / f"{name}.json")

    def step(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Do a step and keep what it gives, with the seconds; or read that where it is done already."""
        if known := self.record(name):
            return known
        self.folder.mkdir(parents=True, exist_ok=True)
        begun = time.monotonic()
        found = {**make(), "seconds": round(time.monotonic() - begun, 3)}
        self.keep(name, found)
        return found

    def keep(self, name: str, found: dict[str, Any]) -> None:
        """Write a record, whole or not at all."""
        write_atomically(self.folder / f"{name}.json", json.dumps(found, allow_nan=False) + "\n")
