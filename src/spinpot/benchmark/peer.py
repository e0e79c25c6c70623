"""deepmd-kit on its example, by its own command: the same network, loss, batch and frames as EXAMPLE."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any, cast

import numpy as np

from spinpot.core.errors import InputError
from spinpot.runs.time_to_error import Course

BACKENDS = {"pytorch": "--pt", "tensorflow": "--tf"}
EXAMPLE = Path(__file__).with_name("deepmd_example.json")
TRAINED, VALIDATED = ("data_0", "data_1"), "data_2"
AVERAGE = re.compile(r"average training time: ([0-9.]+) s/batch")


def peer_seconds_per_step(python: Path, backend: str, data: Path, folder: Path, steps: int) -> float:
    """Seconds per step as deepmd-kit reports them, its first steps left out.

    python: an interpreter that has deepmd-kit; data: the folder of NiO_deltaspin; folder: for what it writes.
    Raises InputError with its last words if it fails.
    """
    return _train(python, backend, folder, peer_input(backend, data, folder, steps))


def peer_course(python: Path, data: Path, folder: Path, steps: int, rate: float, validated: int) -> Course:
    """Validation errors on VALIDATED of the TensorFlow backend, trained at a constant learning rate.

    validated: the steps between two validations. Other arguments and errors as of peer_seconds_per_step.
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
    seconds = _train(python, "tensorflow", folder, made)
    try:
        columns = np.genfromtxt(folder / "lcurve.out", names=True, ndmin=1)
        errors = {quantity: columns[f"rmse_{quantity}_val"] for quantity in ("fr", "fm")}
    except (OSError, ValueError) as error:
        raise InputError(f"--peer: the lcurve.out of {python} has no validation errors: {error}.") from error
    if not all(np.isfinite(values).all() for values in errors.values()):
        raise InputError(f"--peer: the validation errors of {python} are not finite.")
    return Course("tensorflow", columns["step"].astype(int), errors, seconds)


def _train(python: Path, backend: str, folder: Path, made: dict[str, Any]) -> float:
    """Seconds of a step, as deepmd-kit reports them at the end of a training with this input."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "input.json").write_text(json.dumps(made, indent=2))
    command = [str(python), "-m", "deepmd", BACKENDS[backend], "train", "input.json"]
    try:
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise InputError(f"--peer {python}: {error.strerror}. Give a Python that has deepmd-kit.") from error
    said = ended.stdout + ended.stderr
    average = AVERAGE.search(said)
    if ended.returncode != 0 or not average:
        raise InputError(f"--peer: {' '.join(command)} failed: {said.strip()[-1500:]}")
    return float(average[1])


def peer_input(backend: str, data: Path, folder: Path, steps: int) -> dict[str, Any]:
    """The input.json of the spin example, in float64; for TensorFlow also the frames in its own layout."""
    systems = [data / name for name in TRAINED]
    if missing := [system for system in systems if not system.is_dir()]:
        raise InputError(
            f"There is no {missing[0]}. Fetch it by `spinpot train data=NiO_deltaspin "
            "trainer.max_steps=1`, or set SPINPOT_DATA to the folder that NiO_deltaspin is in."
        )
    made: dict[str, Any] = _example()["input"]
    if backend == "tensorflow":
        systems = [_with_virtual_atoms(system, folder) for system in systems]
        made["model"]["spin"] = _example()["spin_for_tensorflow"]
    made["training"]["training_data"]["systems"] = [str(system) for system in systems]
    made["training"] |= {"numb_steps": steps, "save_freq": 10 * steps}
    return made


def _example() -> dict[str, Any]:
    return cast(dict[str, Any], json.loads(EXAMPLE.read_text(encoding="utf-8")))


def _with_virtual_atoms(system: Path, folder: Path) -> Path:
    """The layout of the TensorFlow backend, in which Ni has virtual atoms."""
    from spinpot.data.prepare import write_old  # not above: --help needs BACKENDS alone
    from spinpot.data.readers.reader import Wanted
    from spinpot.data.systems import parts, read_systems

    (scale, *_) = _example()["input"]["model"]["spin"]["virtual_scale"]
    (frames,) = read_systems([system])
    write_old(folder, frames, parts(frames), Wanted(magnetic=("Ni",), virtual_scale=scale))
    (folder / frames.name / "type_map.raw").unlink()  # which would have to name the virtual atoms, too
    return folder / frames.name
