"""Benchmarks of training steps: real runs of spinpot and deepmd-kit; results as a table and as JSON."""

import json
import os
import platform
import statistics
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, cast

import torch

from spinpot.benchmark.cases import CASES
from spinpot.benchmark.measure import FILE
from spinpot.benchmark.peer import peer_seconds_per_step
from spinpot.benchmark.processes import run
from spinpot.config.app import TRAIN
from spinpot.core.console import counted, print_line, print_table
from spinpot.core.files import write_atomically

TURNS = 3
PEER_CASE, PEER_STEPS = "NiO_deltaspin", 30


def run_benchmark(
    cases: Sequence[str], steps: int, output: Path | None, profile: bool = False
) -> dict[str, Any]:
    """Measure each case in its own process; print, write and return the results.

    Raises InputError if a run fails.
    """
    results = {}
    with tempfile.TemporaryDirectory(prefix="spinpot-benchmark-") as place:
        for name in counted(cases, "Measuring"):
            results[name] = {"steps": steps, **measure(name, steps, Path(place), profile)}
    found = written({"cases": results}, output)
    _print(found)
    return found


def compare(
    python: Path, backends: Sequence[str], data: Path, steps: int, output: Path | None
) -> dict[str, Any]:
    """Compare spinpot with backends of deepmd-kit.

    The programs run in turn, A B C A B C …, because the speed of a machine varies. Times are those that
    users see: seconds_per_step in summary.json, and deepmd-kit's report. Ratios are those of the medians.
    Raises InputError if a run fails.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ("spinpot", *backends)}
    with tempfile.TemporaryDirectory(prefix="spinpot-benchmark-") as place:
        turns = [(turn, name) for turn in range(TURNS) for name in seconds]
        for turn, name in counted(turns, "Taking turns"):
            folder = Path(place) / f"{name}{turn}"
            if name == "spinpot":
                train([*CASES[PEER_CASE].settings(folder), *steps_alone(steps)], folder)
                seconds[name].append(seconds_per_step(folder))
            else:
                seconds[name].append(peer_seconds_per_step(python, name, data, folder, PEER_STEPS))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    ratios = {name: medians[name] / medians["spinpot"] for name in backends}
    found = written({"seconds": seconds, "ratios": ratios}, output)
    _print_ratios(found, medians)
    return found


def measure(case: str, steps: int, place: Path, profile: bool = False) -> dict[str, Any]:
    """Train with the real command; returns the results of Measure. Raises InputError if the run fails."""
    folder = place / f"run_{case}"
    settings = [
        *CASES[case].settings(place),
        *steps_alone(steps),
        "+callbacks.measure._target_=spinpot.benchmark.measure.Measure",
        f"+callbacks.measure.profile={profile}",
    ]
    train(settings, folder)
    return cast(dict[str, Any], json.loads((folder / FILE).read_text(encoding="utf-8")))


def seconds_per_step(folder: Path) -> float:
    """The seconds per step in the summary of a finished run."""
    return float(json.loads((folder / "summary.json").read_text())["seconds_per_step"])


def steps_alone(number: int) -> list[str]:
    """Settings for a number of steps with one validation at the end."""
    return [f"trainer.max_steps={number}", f"trainer.val_check_interval={number}"]


def train(settings: Sequence[str], folder: Path) -> None:
    """Run `spinpot train` with a run folder. Raises InputError with its output if it fails."""
    run([*TRAIN, *settings, f"hydra.run.dir={folder}"])


def written(results: dict[str, Any], output: Path | None) -> dict[str, Any]:
    """The results with date and machine; also written to a JSON file if `output` is given."""
    found = {"date": date.today().isoformat(), "machine": machine(), **results}
    if output is not None:
        write_atomically(output, json.dumps(found, indent=2) + "\n")
    return found


def machine() -> dict[str, Any]:
    """The machine and versions for which the numbers hold."""
    return {
        "processor": _processor(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _processor() -> str:
    """The name of the processor; Python's platform module does not know it on Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def title(about: str, found: dict[str, Any]) -> str:
    """The title of a table of results."""
    machine = found["machine"]
    device = machine["gpu"] or f"{machine['processor']}, {machine['cores']} cores"
    return f"{about}, {found['date']}: {device}"


def _print(found: dict[str, Any]) -> None:
    on_gpu = found["machine"]["gpu"] is not None
    columns = ["case", "ms per step", "around the model", "empty loop", "logging", "peak memory", "limit, ms"]
    rows = [
        [
            name,
            f"{1000 * case['seconds_per_step']:.2f}",
            f"{1000 * case['overhead'] * case['seconds_per_step']:.2f}",
            f"{1000 * case['empty_loop']:.2f}",
            f"{100 * case['logging']:.2f} %",
            f"{case['peak_memory'] / 1e9:.2f} GB",
            f"{1000 * case['arithmetic_limit']:.2f}",
            *([f"{100 * case['device_busy']:.0f} %"] if on_gpu else []),
        ]
        for name, case in found["cases"].items()
    ]
    columns += ["GPU busy"] * on_gpu
    print_table(title("Training steps", found), columns, rows, ("case",))
    print_line(
        "ms per step: median of whole steps of spinpot train. Around the model: the part of it that a plain "
        "loop does not need (data, Lightning, callbacks). Empty loop: ms per step of Lightning's loop with "
        "a model of one parameter and no callbacks. Logging: its share of the time of all steps. Limit: ms "
        "that the matrix products of a step would take at the rate of large ones on this machine."
        + (" GPU busy: the share of the time in which a kernel runs." if on_gpu else "")
    )
    for name, case in found["cases"].items():
        if case["dearest"]:
            dearest = [(operation, f"{1000 * seconds:.2f}") for operation, seconds in case["dearest"]]
            columns = ["operation", "ms per step"]
            print_table(f"{name}: where a step spends its time", columns, dearest, ("operation",))


def _print_ratios(found: dict[str, Any], medians: dict[str, float]) -> None:
    rows = []
    for name, seconds in found["seconds"].items():
        turns = " ".join(f"{1000 * value:.0f}" for value in seconds)
        ratio = f"{found['ratios'][name]:.1f}" if name in found["ratios"] else ""
        label = name if name == "spinpot" else f"deepmd-kit, {name}"
        rows.append((label, f"{1000 * medians[name]:.1f}", turns, ratio))
    columns = ("program", "ms per step", "turns", "ratio to spinpot")
    print_table(title("Training steps", found), columns, rows, ("program",))
