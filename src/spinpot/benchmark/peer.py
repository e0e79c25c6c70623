"""Runs deepmd-kit's command on its example, with the same network, loss, batch and frames as EXAMPLE."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from spinpot.benchmark.processes import Watched, watch
from spinpot.core.errors import InputError
from spinpot.runs.time_to_error import Course

BACKENDS = {"pytorch": "--pt", "tensorflow": "--tf"}
EXAMPLE = Path(__file__).with_name("deepmd_example.json")
TRAINED, VALIDATED = ("data_0", "data_1"), "data_2"
AVERAGE = re.compile(r"average training time: ([0-9.]+) s/batch")
FIRST = re.compile(r"Batch +1: trn")
"""The line that the PyTorch backend prints for its first step."""


def peer_seconds_per_step(python: Path, backend: str, data: Path, folder: Path, steps: int) -> float:
    """Seconds per step as reported by deepmd-kit, without its first steps.

    python: an interpreter with deepmd-kit. data: the folder of NiO_deltaspin. folder: for the output. Raises
    InputError with the end of its output if it fails.
    """
    return _average(_train(python, backend, folder, peer_input(backend, data, folder, steps)))


def peer_first_step(
    python: Path, systems: Path, folder: Path, steps: int, batch: int
) -> tuple[float, Watched]:
    """Seconds per step of the PyTorch backend with a batch size, and its process up to the first step.

    systems: a folder with systems. Other arguments and errors as in peer_seconds_per_step.
    """
    made = _input([systems], steps)
    made["training"]["training_data"]["batch_size"] = batch
    watched = _train(python, "pytorch", folder, made, FIRST)
    return _average(watched), watched


def peer_course(python: Path, data: Path, folder: Path, steps: int, rate: float, validated: int) -> Course:
    """Validation errors of the TensorFlow backend on VALIDATED, trained with a constant learning rate.

    validated: the steps between two validations. Other arguments and errors as in peer_seconds_per_step.
    """
    made = peer_input("tensorflow", data, folder, steps)
    system = data / VALIDATED
    made["learning_rate"] |= {"start_lr": rate, "stop_lr": rate}
    made["training"] |= {
        "validation_data": {
            "systems": [str(_with_virtual_atoms(system, folder))],
            "batch_size": len(np.load(system / "set.000" / "energy.npy")),
        },
        "disp_freq": validated,
    }
    seconds = _average(_train(python, "tensorflow", folder, made))
    try:
        columns = np.genfromtxt(folder / "lcurve.out", names=True, ndmin=1)
        errors = {quantity: columns[f"rmse_{quantity}_val"] for quantity in ("fr", "fm")}
    except (OSError, ValueError) as error:
        raise InputError(f"--peer: the lcurve.out of {python} has no validation errors: {error}.") from error
    if not all(np.isfinite(values).all() for values in errors.values()):
        raise InputError(f"--peer: the validation errors of {python} are not finite.")
    return Course("tensorflow", columns["step"].astype(int), errors, seconds)


def _train(
    python: Path, backend: str, folder: Path, made: dict[str, Any], line: re.Pattern[str] = AVERAGE
) -> Watched:
    """Train with deepmd-kit and this input, watched until it prints a line that matches."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "input.json").write_text(json.dumps(made, indent=2))
    command = [str(python), "-m", "deepmd", BACKENDS[backend], "train", "input.json"]
    try:
        return watch(command, folder, line)
    except OSError as error:
        raise InputError(f"--peer {python}: {error.strerror}. Give a Python with deepmd-kit.") from error


def _average(watched: Watched) -> float:
    """Seconds per step, as reported by deepmd-kit at the end of a training."""
    if not (found := AVERAGE.search(watched.said)):
        raise InputError(f"--peer: deepmd-kit did not report its time per step: {watched.said[-1500:]}")
    return float(found[1])


def peer_input(backend: str, data: Path, folder: Path, steps: int) -> dict[str, Any]:
    """The input.json of the spin example in float64. For TensorFlow this also writes frames in its layout."""
    systems = [data / name for name in TRAINED]
    if missing := [system for system in systems if not system.is_dir()]:
        raise InputError(
            f"There is no {missing[0]}. Download it with `spinpot train data=NiO_deltaspin "
            "trainer.max_steps=1`, or set SPINPOT_DATA to the folder that contains NiO_deltaspin."
        )
    if backend == "pytorch":
        return _input(systems, steps)
    made = _input([_with_virtual_atoms(system, folder) for system in systems], steps)
    made["model"]["spin"] = _example()["spin_for_tensorflow"]
    return made


def _input(systems: Sequence[Path], steps: int) -> dict[str, Any]:
    made: dict[str, Any] = _example()["input"]
    made["training"]["training_data"]["systems"] = [str(system) for system in systems]
    made["training"] |= {"numb_steps": steps, "save_freq": 10 * steps}
    return made


def _example() -> dict[str, Any]:
    return cast(dict[str, Any], json.loads(EXAMPLE.read_text(encoding="utf-8")))


def _with_virtual_atoms(system: Path, folder: Path) -> Path:
    """Write a system in the layout of the TensorFlow backend, in which Ni has virtual atoms."""
    from spinpot.data.prepare import write_old  # here, because --help only needs BACKENDS
    from spinpot.data.readers.reader import Wanted
    from spinpot.data.systems import parts, read_systems

    (scale, *_) = _example()["input"]["model"]["spin"]["virtual_scale"]
    (frames,) = read_systems([system])
    write_old(folder, frames, parts(frames), Wanted(magnetic=("Ni",), virtual_scale=scale))
    (folder / frames.name / "type_map.raw").unlink()  # it lacks the names of the virtual atoms' types
    return folder / frames.name
