"""Ours and deepmd-kit's TensorFlow backend until given errors on NiO_deltaspin, one after the other."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from rich.progress import track

from spinpot.benchmark.peer import peer_course
from spinpot.benchmark.run import machine, title, train, write_json
from spinpot.console import console, progress_console
from spinpot.report.time_to_error import Course, read_course, table

BOUNDS = {"fr": 6.2e-3, "fm": 8.3e-3}
"""rmse_fr, eV/Å, and rmse_fm, eV/μ_B, of the validation set, which are to hold at once."""
RATE = 1e-3
"""The example's learning rate, constant as in its first 5000 steps."""
PEER_STEPS = 3500
VALIDATED = 50
OURS = {
    "spinpot, fast_deepspin": ["experiment=fast_deepspin"],
    "spinpot, nio_deltaspin": [
        *("experiment=nio_deltaspin", f"scheduler.stop_lr={RATE}", "trainer.max_steps=1750"),
        f"trainer.val_check_interval={VALIDATED}",
    ],
}


def until_error(python: Path, data: Path, output: Path | None) -> dict[str, Any]:
    """Print when each program's validation errors are first within BOUNDS; write it as JSON.

    python: an interpreter that has deepmd-kit; data: the folder of NiO_deltaspin. Seconds are those of the
    steps, without validation. Returns what the file holds. Raises InputError for a run that failed.
    """
    courses = []
    with tempfile.TemporaryDirectory(prefix="spinpot-benchmark-") as place:
        peer = "deepmd-kit, TensorFlow"
        for name in track([*OURS, peer], "Training", console=progress_console, transient=True):
            folder = Path(place) / name.replace(", ", "-")
            if name == peer:
                course = peer_course(python, data, folder, PEER_STEPS, RATE, VALIDATED)
            else:
                train(OURS[name], folder)
                course = read_course(folder, list(BOUNDS))
            courses.append(Course(name, course.step, course.errors, course.seconds_per_step))
    found = {"date": date.today().isoformat(), "machine": machine(), "runs": [_plain(c) for c in courses]}
    console.print(title(found))
    console.print(table(courses, BOUNDS), soft_wrap=True)
    console.print("\n".join(ratios(courses)), soft_wrap=True)
    write_json(found, output)
    return found


def ratios(courses: Sequence[Course]) -> list[str]:
    """How many times as long the last one takes as each other, where both get there."""
    *others, peer = courses
    steps = [course.first_step(BOUNDS) for course in courses]
    if steps[-1] is None:
        return [f"{peer.name} does not get there in {peer.step[-1]} steps."]
    seconds = steps[-1] * peer.seconds_per_step
    return [
        f"{peer.name} takes {seconds / (step * course.seconds_per_step):.1f} times as long as {course.name}."
        for course, step in zip(others, steps, strict=False)
        if step is not None
    ]


def _plain(course: Course) -> dict[str, Any]:
    return {
        "name": course.name,
        "seconds_per_step": course.seconds_per_step,
        "first_step": course.first_step(BOUNDS),
        "step": course.step.tolist(),
        "errors": {quantity: values.tolist() for quantity, values in course.errors.items()},
    }
