"""deepmd-kit and LAMMPS in an environment of their own: `make test-interop`, or DEEPMD_PYTHON=PYTHON."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from spinpot.evaluation.predictor import Predictor
from spinpot.lammps.build import build
from spinpot.models.model_file import write_model_file
from support.cli import run_script
from support.lammps import MODELS, lammps_of

NUMBERS = Path(__file__).parent / "deepmd_numbers.py"


@pytest.fixture(scope="session")
def deepmd():
    """An interpreter that has deepmd-kit."""
    python = os.environ.get("DEEPMD_PYTHON")
    if not python:
        pytest.skip(
            "needs deepmd-kit: `make test-interop`, or set DEEPMD_PYTHON to an interpreter that has it"
        )
    return python


@pytest.fixture(scope="session")
def run_peer(deepmd):
    """A command of deepmd-kit's environment, e.g. run_peer("lmp", "-in", "in.static", cwd=DIR)."""

    def run(program, *arguments, cwd):
        command = [str(Path(deepmd).parent / program), *map(str, arguments)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        environment.pop("PYTHONPATH", None)
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    return run


@pytest.fixture(scope="session")
def peer_numbers(deepmd, run_peer):
    """deepmd-kit's predictions for frames (a System), and its loss with an input.json."""

    def numbers(model, frames, folder, settings=None):
        arrays = {"type": frames.types, "box": frames.box, "coord": frames.coord, "spin": frames.spin}
        arrays |= {f"label_{name}": getattr(frames, name) for name in frames.labels}
        np.savez(folder / "frames.npz", **arrays)
        more = [settings] if settings else []
        said = run_peer(Path(deepmd).name, NUMBERS, model, folder / "frames.npz", *more, cwd=folder)
        (line,) = [line for line in said.splitlines() if line.startswith("RESULT")]
        return json.loads(line.removeprefix("RESULT"))

    return numbers


@pytest.fixture(scope="session")
def trained(deepmd, tmp_path_factory):
    """A small potential of the built-in NiO: best.ckpt, and model.pth beside it."""
    folder = tmp_path_factory.mktemp("trained")
    short = ["trainer.max_steps=400", "trainer.val_check_interval=200", "trainer.enable_progress_bar=false"]
    run_script("train.py", *short, "hydra.run.dir=run", "paths.data_dir=data", cwd=folder)
    checkpoint = folder / "run" / "checkpoints" / "best.ckpt"
    run_script("convert.py", str(checkpoint), "model.pth", "--deepmd", deepmd, cwd=folder)
    return checkpoint, folder / "model.pth"


@pytest.fixture(scope="session")
def plugin(deepmd, tmp_path_factory):
    """spinpot's plugin, built for the LAMMPS of that environment."""
    return build(Path(deepmd).parents[1], tmp_path_factory.mktemp("plugin"))


@pytest.fixture(scope="session")
def run_lammps(deepmd, plugin):
    """What LAMMPS with the plugin says to an input's text; fails: it must end in an error."""
    return lammps_of(deepmd, plugin)


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """A folder with a file of every model, and the predictors."""
    folder = tmp_path_factory.mktemp("models")
    predictors = {}
    for name, make in MODELS.items():
        potential = make()
        write_model_file(folder / f"{name}.safetensors", potential)
        predictors[name] = Predictor(potential)
    return folder, predictors
