"""Every command of the README and the first pages, as it stands there; those of all other pages are composed.

Training is cut short by overrides that come after.
"""

import os
import re
import shlex
import shutil
import subprocess

import pytest

from support.cli import PROJECT, run_python, run_script
from support.folders import labelled_by_a_potential, write_npy

RUN = ("README.md", "docs/install.md", "docs/train.md", "docs/data.md", "docs/evaluate.md")
"""The pages whose commands are run."""
SHORT = ["debug=fast", "report=false", "trainer.max_steps=4", "trainer.enable_progress_bar=false"]
SCRIPTS = {"prepare": "prepare_data", "sweep-table": "sweep_table"}
"""Of the commands whose script has another name."""
REAL = ("NiO_deltaspin", "nio_deltaspin", "experiment=fast", "experiment=native_spin")
"""Found in commands that train on the fetched frames."""
SETUP = ("python3 -m venv", "source ", "pip install", "make test")
"""What make itself does before any test can run."""


def commands(*pages):
    """Every line of the bash blocks."""
    texts = [(PROJECT / page).read_text() for page in pages]
    blocks = [block for text in texts for block in re.findall(r"```bash\n(.*?)```", text, re.S)]
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def python_of(page):
    """The one Python block of a page."""
    (example,) = re.findall(r"```python\n(.*?)```", (PROJECT / page).read_text(), re.S)
    return example


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Where a user stands: their data, and a run to resume and to evaluate."""
    folder = tmp_path_factory.mktemp("user")
    for name, seed in (("train", 1), ("validation", 2)):
        write_npy(folder / "my_data" / name, labelled_by_a_potential(seed, 4))
    python_here(python_of("docs/data.md"), folder)
    run_script("prepare_data.py", "frames.extxyz", "my_frames", "--split", "0.75", "0.25", cwd=folder)
    own = ["data=npy", "data.train=[my_data/train]", "data.validation=[my_data/validation]"]
    run_script("train.py", *own, *SHORT, "hydra.run.dir=runs/mine", cwd=folder)
    shutil.copytree(folder / "runs" / "mine", folder / "finished")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("command", [line for line in commands(*RUN) if line.startswith("spinpot ")])
def test_script_command(command, place):
    _, name, *arguments = shlex.split(command)
    name = f"{SCRIPTS.get(name, name)}.py"
    for run in (place / "runs").glob("2*"):  # named by the second, in which the next run may start
        shutil.rmtree(run)
    if name == "train.py" and "--cfg" not in arguments:
        arguments += [*SHORT, "scheduler.warmup_steps=0"] if "warmup" in command else SHORT
        if "max_steps=0" in command:
            arguments += ["trainer.max_steps=0"]
        if any(name in command for name in REAL) and "data=npy" not in command:
            arguments += real_frames()
        if "resume=auto" in command:
            restore(place)
            arguments += own_data()
        elif "hydra.run.dir=runs/mine" in command:
            shutil.rmtree(place / "runs" / "mine", ignore_errors=True)
        if "init_from" in command:
            restore(place)
            arguments += own_data()
        if "--config-dir runs/mine" in command:
            restore(place)
            arguments = [argument for argument in arguments if not argument.startswith("debug=")]
        if "sweep=virtual_len" in command:
            arguments += ["model.spin.virtual_len=0.2,0.3"]
    if "frames.extxyz my_frames" in command:
        shutil.rmtree(place / "my_frames")
    if name == "convert.py":
        restore(place)
    if name == "evaluate.py":
        restore(place)
        shutil.rmtree(place / "evaluations", ignore_errors=True)
    if name == "analyze.py":
        pytest.importorskip("magnopy")
        restore(place)  # a model that knows nothing as dense as the example's NiO
        cutoffs = ["task.exchange.cutoff=4.0", "task.magnons.cutoff=4.0"]
        arguments = [*arguments, *cutoffs, "structure=my_data/validation"]
    if "multirun/prefactors" in command:
        shutil.rmtree(place / "multirun", ignore_errors=True)
    if name == "sweep_table.py":
        shutil.copytree(place / "finished", place / "multirun" / "prefactors" / "0")
    result = run_script(name, *arguments, cwd=place)
    assert result.stdout


def python_here(code, folder):
    ran = run_python(["-c", code], cwd=folder)
    assert ran.returncode == 0, ran.stderr


def restore(place):
    """Put the finished run back to where the pages have it."""
    shutil.rmtree(place / "runs" / "mine", ignore_errors=True)
    shutil.copytree(place / "finished", place / "runs" / "mine")


def own_data():
    """The data the run to be resumed was begun with, and steps left to do."""
    return [
        "data=npy",
        "data.train=[my_data/train]",
        "data.validation=[my_data/validation]",
        "trainer.max_steps=6",
    ]


def real_frames():
    if not os.environ.get("SPINPOT_DATA"):
        pytest.skip("needs real frames: set SPINPOT_DATA to a folder with NiO_deltaspin")
    return [f"paths.data_dir={os.environ['SPINPOT_DATA']}"]


@pytest.mark.slow
def test_make_train(tmp_path):
    """The rule runs the script; the environment it needs is there already, or this test could not run."""
    if not (PROJECT / ".venv" / "installed").exists():
        pytest.skip("make would set up a new environment first; `make test` does that before the tests")
    arguments = f"debug=fast hydra.run.dir={tmp_path / 'run'} paths.data_dir={tmp_path / 'data'}"
    subprocess.run(["make", "train", f"ARGS={arguments}"], cwd=PROJECT, check=True, stdin=subprocess.DEVNULL)
    assert (tmp_path / "run" / "summary.json").exists()
    assert (tmp_path / "data" / "NiO" / "train").is_dir()


@pytest.mark.slow
@pytest.mark.parametrize("page", ["docs/evaluate.md", "docs/python.md", "docs/recipes.md"])
def test_python_example(page, place):
    restore(place)
    run_script("prepare_data.py", "my_data/validation", "frames", "--to", "extxyz", cwd=place)
    shutil.move(place / "frames/validation.xyz", place / "structure.extxyz")
    shutil.rmtree(place / "frames")
    names = "['atom_energy', 'energy', 'force', 'force_mag', 'virial']"
    check = f"\nassert 'prediction' not in vars() or sorted(prediction) == {names}"
    python_here(python_of(page) + check, place)


def test_no_command_is_left_out():
    left = [line for line in commands(*RUN) if not line.startswith(("spinpot ", "make train", *SETUP))]
    assert not left
