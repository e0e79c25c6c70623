"""Measures start-up time, step time and memory against the size of the training set."""

import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from spinpot import kernels
from spinpot.benchmark.cases import example_on
from spinpot.benchmark.first_step import LINE, FirstStep
from spinpot.benchmark.peer import peer_first_step
from spinpot.benchmark.processes import watch
from spinpot.benchmark.run import PEER_STEPS, seconds_per_step, steps_alone, title, written
from spinpot.benchmark.sets import Size, make_sets
from spinpot.config.app import TRAIN
from spinpot.core.console import counted, print_line, print_table
from spinpot.report.plots import Curve, draw_curves, log_steps
from spinpot.report.style import LIGHT, new_figure, save_figure, themed

VALIDATED, BATCH = Size(1, 40), 4
OURS, PEER = "spinpot", "deepmd-kit, PyTorch"
PEER_MOST = 20_000  # frames; with more, deepmd-kit takes over three minutes to its first step
OPTIONS = ("report=false", f"+callbacks.first._target_={FirstStep.__module__}.FirstStep")
PANELS = (
    ("first_step", 1.0, "start to first step (s)"),
    ("seconds_per_step", 1e3, "a step (ms)"),
    ("memory", 1e-9, "memory of a process (GB)"),
)


@dataclass(frozen=True)
class Plan:
    """What to measure. cold: empty the file cache before each run. peer: an interpreter with deepmd-kit."""

    sizes: Sequence[Size]
    ranks: Sequence[int]
    steps: int
    turns: int
    cold: bool = False
    peer: Path | None = None


@dataclass(frozen=True)
class Row:
    """A measurement: a program on a set with a number of ranks."""

    size: Size
    program: str
    ranks: int


def run_scale(plan: Plan, folder: Path | None, output: Path | None, plot: Path | None) -> dict[str, Any]:
    """Measure all rows in turn, each run in its own processes; print, plot and return the results.

    folder: where the sets are made and kept. output: file of the results, written after each run. Raises
    InputError if a run fails.
    """
    kernels.library()  # compile the kernels here, not in the first run
    listed, found, everything = rows(plan), list[dict[str, float | None]](), dict[str, Any]()
    with _printed(everything, plot), tempfile.TemporaryDirectory(prefix="spinpot-benchmark-") as own:
        sets = make_sets(folder or Path(own), [VALIDATED, *plan.sizes])
        for place in sets.values():
            _take(place, into_memory=True)
        os.sync()  # only pages that are on the disk can be dropped from the cache
        for number, row in enumerate(counted(listed * plan.turns, "Taking turns", len(listed) * plan.turns)):
            if plan.cold:
                _take(sets[row.size], into_memory=False)
            found.append(_measured(row, sets, plan, Path(own) / f"run_{number}"))
            results = [_result(own, found[n :: len(listed)]) for n, own in enumerate(listed[: len(found)])]
            everything |= written({"scale": results, "steps": plan.steps, "cold": plan.cold}, output)
    return everything


@contextmanager
def _printed(found: dict[str, Any], plot: Path | None) -> Iterator[None]:
    """Print and plot the results at the end, also after an error or Ctrl-C."""
    try:
        yield
    finally:
        if found:
            _print(found)
        if found and plot:
            write_scale(found["scale"], plot)


def rows(plan: Plan) -> list[Row]:
    """All rows, ordered by set; deepmd-kit only on sets with up to PEER_MOST frames."""
    found = []
    for size in plan.sizes:
        found += [Row(size, OURS, ranks) for ranks in plan.ranks]
        found += [Row(size, PEER, 1)] * (plan.peer is not None and size.total <= PEER_MOST)
    return found


def _measured(row: Row, sets: Mapping[Size, Path], plan: Plan, run: Path) -> dict[str, float | None]:
    if row.program == PEER:
        assert plan.peer
        step, watched = peer_first_step(plan.peer, sets[row.size], run, PEER_STEPS, BATCH)
    else:
        settings = [*example_on(sets[row.size], sets[VALIDATED]), f"data.batch_size={BATCH}", *OPTIONS]
        settings += ["trainer=ddp_cpu", f"trainer.devices={row.ranks}"] if row.ranks > 1 else []
        command = [*TRAIN, *settings, *steps_alone(plan.steps), f"hydra.run.dir={run}"]
        watched = watch(command, run.parent, re.compile(LINE))
        step = seconds_per_step(run)
    return {"first_step": watched.seconds, "seconds_per_step": step, "memory": watched.memory}


def _result(row: Row, turns: Sequence[Mapping[str, float | None]]) -> dict[str, Any]:
    size = {"set": row.size.label, "systems": row.size.systems, "frames": row.size.total}
    measured = {name: [turn[name] for turn in turns] for name in turns[0]}
    return {**size, "program": row.program, "ranks": row.ranks, **measured}


def _take(folder: Path, into_memory: bool) -> None:
    """Read the files of a set into the file cache, or drop them from it."""
    for path in folder.rglob("*.npy"):
        with path.open("rb", buffering=0) as file:
            if not into_memory:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            while into_memory and file.read(2**24):
                pass


def _print(found: dict[str, Any]) -> None:
    columns = ["set", "program", "first step, s", "compared", "ms per step", "ratio", "memory"]
    print_table(title("Large training sets", found), columns, _cells(found["scale"]), ("set", "program"))
    print_line(
        "Medians, with the range of the turns. First step: seconds from the start of the program to the end "
        "of its first step. Compared: for spinpot, the additional seconds compared with the first set; for "
        "deepmd-kit, the ratio to spinpot. Ratio: ms per step relative to spinpot with the first set; for "
        "deepmd-kit, relative to spinpot with the same set. Memory: the peak of one process, without pages "
        f"of files. The files were {'not ' * found['cold']}in the file cache when a run began."
    )


def _cells(results: Sequence[dict[str, Any]]) -> Iterator[list[str]]:
    ours = {(own["set"], own["ranks"]): own for own in results if own["program"] == OURS}
    for own in results:
        is_ours = own["program"] == OURS
        base = ours.get((results[0]["set"] if is_ours else own["set"], own["ranks"]), own)
        turns = len(own["first_step"])  # an interrupted last turn has only the first rows
        first, base_first, step, base_step = (
            np.array(of[name][:turns]) for name in ("first_step", "seconds_per_step") for of in (own, base)
        )
        yield [
            own["set"],
            _program(own),
            f"{np.median(first):.1f}",
            _spread(first - base_first, "+.1f") if is_ours else _spread(first / base_first, ".1f"),
            f"{1000 * np.median(step):.2f}",
            _spread(step / base_step, ".3f" if is_ours else ".1f"),
            f"{_most(own) / 1e9:.2f} GB",
        ]


def _program(result: Mapping[str, Any]) -> str:
    return f"{result['program']}, {result['ranks']} rank{'s' * (result['ranks'] > 1)}"


def _spread(values: np.ndarray, form: str) -> str:
    middle, low, high = (format(f(values), form) for f in (np.median, np.min, np.max))
    return middle if low == high else f"{middle} ({low} to {high})"


def _most(result: Mapping[str, Any]) -> float:
    return max((own for own in result["memory"] if own), default=float("nan"))


def write_scale(results: Sequence[dict[str, Any]], path: Path) -> None:
    """Plot all three quantities against the number of frames: lines for sets of one system, else stars."""
    with themed(LIGHT):
        figure = new_figure(10.8, 3.1, layout="constrained")
        for axes, (name, unit, label) in zip(figure.subplots(1, len(PANELS)), PANELS, strict=True):
            draw_curves(axes, [*_curves(results, name, unit)], logarithmic=name != "memory")
            low, high = axes.get_ylim()
            axes.set(xlabel="frames", ylabel=label)
            axes.set_ylim((0.0, 1.1 * high) if name == "memory" else (low / 2.0, 2.0 * high))
            log_steps(axes)
        axes.legend(frameon=False, fontsize=8)
        save_figure(figure, path)


def _curves(results: Sequence[dict[str, Any]], name: str, unit: float) -> Iterator[Curve]:
    colours = {program: f"C{n}" for n, program in enumerate(dict.fromkeys(map(_program, results)))}
    for (program, colour), many in product(colours.items(), (False, True)):
        group = [own for own in results if (_program(own), own["systems"] > 1) == (program, many)]
        group.sort(key=itemgetter("frames"))
        values = [_most(own) if name == "memory" else np.median(own[name]) for own in group]
        style = (
            {"marker": "*", "linestyle": "", "markersize": 9} if many else {"marker": "o", "label": program}
        )
        frames = np.array([own["frames"] for own in group])
        yield Curve(frames, unit * np.array(values), style | {"color": colour})
