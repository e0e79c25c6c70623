"""Trains spinpot and deepmd-kit's TensorFlow backend until they reach given errors on NiO_deltaspin."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from spinpot.benchmark.peer import peer_course
from spinpot.benchmark.run import title, train, written
from spinpot.core.console import console, counted, print_line
from spinpot.runs.time_to_error import BOUNDS, Course, read_course, table

RATE = 1e-3  # the example's learning rate, constant as in its first 5000 steps
PEER_STEPS = 3500
STEPS_BETWEEN = 50
OURS = {
    "spinpot, fast_deepspin": ["experiment=fast_deepspin"],
    "spinpot, nio_deltaspin": [
        *("experiment=nio_deltaspin", f"scheduler.stop_lr={RATE}", "trainer.max_steps=1750"),
        f"trainer.val_check_interval={STEPS_BETWEEN}",
    ],
}


def until_error(python: Path, data: Path, output: Path | None) -> dict[str, Any]:
    """Print when the validation errors of each program are first within BOUNDS; write the results as JSON.

    python: an interpreter with deepmd-kit. data: the folder of NiO_deltaspin. Times are those of the steps,
    without validation. Returns the contents of the file. Raises InputError if a run fails.
    """
    peer = "deepmd-kit, TensorFlow"
    courses = {}
    with tempfile.TemporaryDirectory(prefix="spinpot-benchmark-") as place:
        # The peer runs first, because it may be missing.
        for name in counted([peer, *OURS], "Training"):
            folder = Path(place) / name.replace(", ", "-")
            if name == peer:
                courses[name] = peer_course(python, data, folder, PEER_STEPS, RATE, STEPS_BETWEEN)
            else:
                train(OURS[name], folder)
                courses[name] = read_course(folder, list(BOUNDS))
    runs = [replace(courses[name], name=name) for name in (*OURS, peer)]
    found = written({"runs": [_plain(run) for run in runs]}, output)
    console.print(title("Time to given errors", found))
    print_line(table(runs, BOUNDS))
    print_line("\n".join(ratios(runs)))
    return found


def ratios(courses: Sequence[Course]) -> list[str]:
    """Lines with the time of the last program relative to each other one, if both reach the bounds."""
    *others, peer = courses
    if (last := peer.first_step(BOUNDS)) is None:
        return [f"{peer.name} does not reach the bounds in {peer.step[-1]} steps."]
    seconds = last * peer.seconds_per_step
    return [
        f"{peer.name} takes {seconds / (step * course.seconds_per_step):.1f} times as long as {course.name}."
        for course in others
        if (step := course.first_step(BOUNDS)) is not None
    ]


def _plain(course: Course) -> dict[str, Any]:
    return {
        "name": course.name,
        "seconds_per_step": course.seconds_per_step,
        "first_step": course.first_step(BOUNDS),
        "step": course.step.tolist(),
        "errors": {quantity: values.tolist() for quantity, values in course.errors.items()},
    }
