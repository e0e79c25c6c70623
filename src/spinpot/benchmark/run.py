"""The benchmark: real training runs, measured from inside, as a table and as JSON."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch
from rich.progress import track
from rich.table import Table

from spinpot.benchmark.measure import Measured
from spinpot.console import console, progress_console
from spinpot.errors import InputError
from spinpot.files import write_atomically
from spinpot.training.sweep import TRAIN

CASES = {
    "NiO": ("the built-in set and the default network", []),
    "NiO_deltaspin": (
        "deepmd-kit's example: 3 frames of 32 atoms, embedding 25-50-100, fitting 240-240-240",
        ["experiment=nio_deltaspin"],
    ),
}
"""What can be measured: a description, and the settings of scripts/train.py."""


def run_benchmark(cases: Sequence[str], steps: int, output: Path | None) -> dict[str, Any]:
    """Measure each case in a process of its own; print a table, and write it as JSON.

    Returns what the file holds. Raises InputError for a run that failed.
    """
    results = {}
    for name in track(cases, "Measuring", console=progress_console, transient=True):
        measured = measure(CASES[name][1], steps)
        results[name] = {
            "seconds_per_step": measured.seconds_per_step,
            "overhead": measured.overhead,
            "logging": measured.logging,
            "peak_memory": measured.peak_memory,
            "steps": steps,
        }
    found = {"date": date.today().isoformat(), "machine": machine(), "cases": results}
    _print(found)
    if output is not None:
        write_atomically(output, json.dumps(found, indent=2) + "\n")
    return found


def measure(settings: Sequence[str], steps: int) -> Measured:
    """Train some steps by the real command. Raises InputError if that fails."""
    with tempfile.TemporaryDirectory() as place:
        command = [
            *(sys.executable, str(TRAIN), *settings),
            "+callbacks.measure._target_=spinpot.benchmark.measure.Measure",
            f"trainer.max_steps={steps}",
            f"trainer.val_check_interval={steps}",
            f"hydra.run.dir={place}/run",
        ]
        ended = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if ended.returncode != 0:
            raise InputError(f"{' '.join(command[1:])} failed: {ended.stderr.strip()[-2000:]}")
        return Measured.read(Path(place) / "run")


def machine() -> dict[str, Any]:
    """What the numbers hold for."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _processor() -> str:
    """The processor's name, which Python's platform module does not know on Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _print(found: dict[str, Any]) -> None:
    machine = found["machine"]
    table = Table(
        title=f"Training steps, {found['date']}: {machine['processor']}, {machine['cores']} cores",
        title_justify="left",
    )
    for column in ("case", "ms per step", "around the model", "logging", "peak memory"):
        table.add_column(column, justify="left" if column == "case" else "right")
    for name, case in found["cases"].items():
        table.add_row(
            name,
            f"{1000 * case['seconds_per_step']:.1f}",
            f"{100 * case['overhead']:.1f} %",
            f"{100 * case['logging']:.2f} %",
            f"{case['peak_memory'] / 1e9:.2f} GB",
        )
    console.print(table)
    console.print(
        "ms per step: median of whole steps of scripts/train.py. Around the model: the share of it that a "
        "plain loop does not need (data, Lightning, callbacks). Logging: its share of all steps.",
        soft_wrap=True,
    )
