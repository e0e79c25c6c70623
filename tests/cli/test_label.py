"""spinpot label as users run it: killed and resumed, shared by processes, with a command that fails."""

import json
import signal
import time
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import bulk

from spinpot.data.systems import read_systems
from support.cli import PROJECT, python, run_script
from support.folders import SMALL
from support.in_process import run_here, the_message
from support.nio_calculator import nio_atoms

CODE = '''
"""A code in a few lines: E = Σ x + Σ S_x, whose derivatives are easy."""
import os, re, sys, time
lines = open("configuration.xyz").read().splitlines()
name = re.search("name=([^ ]*)", lines[1])[1]
with open(os.environ["SPINPOT_START"] + "/asked", "a") as asked:
    asked.write(name + "\\n")
print("one iteration after the other")
time.sleep(float(sys.argv[1]))
if len(sys.argv) > 2 and int(name[-4:]) % 5 == int(sys.argv[2]):
    sys.exit("density not converged")
atoms = [line.split() for line in lines[2:]]
energy = sum(float(atom[1]) + float(atom[4]) for atom in atoms)
cell = lines[1].split("Properties")[0]
columns = "Properties=species:S:1:pos:R:3:spin:R:3:forces:R:3:mforce:R:3"
with open("labelled.xyz", "w") as file:
    print(len(atoms), f"{cell} {columns} energy={energy}", sep="\\n", file=file)
    for atom in atoms:
        magnetic = -1.0 if any(map(float, atom[4:7])) else 0.0
        print(*atom[:7], -1.0, 0.0, 0.0, magnetic, 0.0, 0.0, file=file)
'''
NIO = ["recipe=NiO", "recipe.systems.NiO4.frames=10", "recipe.systems.NiO16.frames=0"]
ARRAYS = ("box", "coord", "spin", "energy", "force", "force_mag")


@pytest.fixture
def place(tmp_path):
    (tmp_path / "code.py").write_text(CODE)
    return tmp_path


def command(*arguments):
    """Overrides for frames by the code."""
    return [
        "label=command",
        f"label.command=python3 -S $SPINPOT_START/code.py {' '.join(map(str, arguments))}",
    ]


def started(place, *arguments):
    """`spinpot label`, still running."""
    return python([PROJECT / "scripts" / "label.py", *arguments, "report=false"], cwd=place)


def frames(folder: Path):
    (system,) = read_systems([folder / "frames"])
    return {name: np.asarray(getattr(system, name)) for name in ARRAYS}


def assert_same(one: Path, other: Path):
    first, second = frames(one), frames(other)
    for name in ARRAYS:
        np.testing.assert_array_equal(first[name], second[name])


def labels(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in folder.glob("jobs/*/*/label.json"))


def wait_for(condition):
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def asked(place: Path) -> list[str]:
    """The frames that the code was asked for."""
    return sorted(line[-4:] for line in (place / "asked").read_text().splitlines())


def test_killed_and_resumed_is_as_if_nothing_had_been(place):
    process = started(place, *command(0.1), *NIO, "output=killed")
    wait_for(lambda: len(labels(place / "killed")) >= 3)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = labels(place / "killed")
    assert 3 <= len(done) < 10
    result = run_here("label.py", *command(0), *NIO, "output=killed", "report=false", cwd=place)
    assert "output=killed: holds labels with other settings (labeller.code" in the_message(result)
    run_script("label.py", *command(0.1), *NIO, "output=killed", "report=false", cwd=place)
    counts = {name: asked(place).count(name) for name in labels(place / "killed")}
    assert len(counts) == 10
    assert {counts[name] for name in done} == {1}
    assert sum(counts.values()) <= 11, "but for the frame it was killed in"
    run_script("label.py", *command(0.1), *NIO, "output=at_once", "report=false", cwd=place)
    assert_same(place / "killed", place / "at_once")


def test_two_processes_share_the_frames(place):
    both = [started(place, *command(0.1), *NIO, "output=shared") for _ in range(2)]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert asked(place) == labels(place / "shared") == [f"{k:04d}" for k in range(10)]
    assert len(frames(place / "shared")["energy"]) == 10


def test_a_code_that_fails_on_a_fifth_of_the_frames(place):
    result = run_script("label.py", *command(0, 2), *NIO, "output=fails", cwd=place)
    assert "8 of 10 frames are labelled: fails/frames" in result.stdout
    why = "the command ended with exit code 1: density not converged"
    assert f"NiO4/0002 failed: {why}" in result.stdout
    assert json.loads((place / "fails" / "summary.json").read_text())["failed_frames"] == {
        "NiO4/0002": why,
        "NiO4/0007": why,
    }
    page = (place / "fails" / "report.html").read_text()
    assert "8 labelled frames of Ni and O" in page
    assert why in page
    written = place / "fails" / "jobs" / "NiO4" / "0002" / "run" / "output.txt"
    assert written.read_text() == "one iteration after the other\ndensity not converged\n"


def test_a_code_that_fails_on_every_frame(place):
    broken = ["label=command", "label.command=exit 3", *NIO, "output=none"]
    result = run_here("label.py", *broken, "report=false", cwd=place)
    assert "All frames failed." in the_message(result)
    assert "exit code 3" in result.stdout


def test_a_multirun_starts_several(place):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    several = ["-m", "worker=1,2", "hydra/launcher=joblib", "report=false"]
    run_script("label.py", *several, *command(0.1), *NIO, "output=several", cwd=place)
    assert asked(place) == labels(place / "several") == [f"{k:04d}" for k in range(10)]
    run_script("label.py", *command(0.1), *NIO, "output=several", "report=false", cwd=place)
    assert len(asked(place)) == 10


def test_a_recipe_of_ones_own(tmp_path):
    """Names of systems and elements are the user's; a structure of a file takes the place of the recipe's."""
    bulk("Fe", a=2.86, cubic=True).write(tmp_path / "iron.cif")
    alloy = ["label=hamiltonian", "label.name=alloy", "structure=iron.cif", "report=false", "output=out"]
    own = ["recipe.moments={Fe: 2.2}", "recipe.systems.Fe16={frames: 3, supercell: [2, 2, 2]}"]
    result = run_here("label.py", *alloy, "recipe=default", *own, cwd=tmp_path)
    assert "3 of 3 frames are labelled: out/frames" in result.stdout
    assert frames(tmp_path / "out")["coord"].shape == (3, 16, 3)
    (tmp_path / "recipe").mkdir()
    (tmp_path / "recipe" / "mine.yaml").write_text(
        "defaults: [default, _self_]\ntilt: [0, 30]\nmoments: {Fe: 2.2}\nsystems: {Fe2: {frames: 2}}\n"
    )
    mine = ["--config-dir", ".", *alloy[:-1], "recipe=mine", "output=mine"]
    result = run_here("label.py", *mine, cwd=tmp_path)
    assert "2 of 2 frames are labelled: mine/frames" in result.stdout


@pytest.mark.slow
def test_frames_can_be_audited_and_trained_on(tmp_path):
    """From nothing to a model's first step."""
    alloy = ["label=hamiltonian", "label.name=alloy", "recipe=alloy"]
    few = [f"recipe.systems.{name}.frames={count}" for name, count in (("Fe3Co3O2", 20), ("Fe2Co4O2", 8))]
    run_script("label.py", *alloy, *few, "output=labels", "report=false", cwd=tmp_path)
    result = run_script("audit.py", "systems=labels/frames", "output=audited", cwd=tmp_path)
    assert "wrong" not in result.stdout
    audited = json.loads((tmp_path / "audited" / "audit.json").read_text())
    factors = audited["systems"]["Fe3Co3O2"]["work"]["factors"]
    assert factors["force"]["value"] == pytest.approx(1.0, abs=0.05)
    data = ["data=npy", "data.train=[labels/frames/Fe3Co3O2]", "data.validation=[labels/frames/Fe2Co4O2]"]
    training = ["debug=fast", "report=false", "model=native_spin", *SMALL["native_spin"], "hydra.run.dir=run"]
    run_script("train.py", *data, *training, cwd=tmp_path)
    assert (tmp_path / "run" / "summary.json").exists()


NIO_OUT = ["recipe=NiO", "output=out"]
HAMILTONIAN = ["label=hamiltonian", *NIO_OUT]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (HAMILTONIAN[:2], "output has no value"),
        (NIO_OUT, "You must specify 'label'"),
        (["label=hamiltonian", "output=out"], "You must specify 'recipe'"),
        ([*HAMILTONIAN, "label=hamiltonain"], "There is no label=hamiltonain"),
        ([*HAMILTONIAN, "label.name=Fe"], "label.name=Fe: expected NiO or alloy"),
        ([*HAMILTONIAN, "recipe.tlit=[0,60]"], "Unknown setting recipe.tlit. Did you mean recipe.tilt?"),
        ([*HAMILTONIAN, "recipe.tilt=60"], "recipe.tilt=60: expected a list of numbers"),
        ([*HAMILTONIAN, "recipe.systems.NiO4.tlit=[0,60]"], "Did you mean recipe.systems.NiO4.tilt?"),
        ([*HAMILTONIAN, "recipe.systems.NiO4.frames=1.5"], "frames=1.5: expected a whole number"),
        ([*HAMILTONIAN, "recipe.hold=length"], "recipe.hold=length: expected direction or vector"),
        ([*HAMILTONIAN, "recipe.spirals=[[0.3,0,0]]"], "recipe.systems.NiO4.spirals=[[0.3, 0, 0]]: expected"),
        ([*HAMILTONIAN, "structure=nowhere.cif"], "structure=nowhere.cif: no such file"),
        ([*HAMILTONIAN, "structure=molecule.xyz"], "has no cell that is periodic in all three directions"),
        ([*HAMILTONIAN, "label.name=alloy"], "label.name=alloy: this Hamiltonian has Fe, Co, O only, not Ni"),
        ([*HAMILTONIAN, "seed=-1"], "seed=-1: expected a whole number >= 0"),
        (
            ["label=command", "label.command=no_such_code in.xyz", *NIO_OUT],
            "label.command=no_such_code in.xyz: there is no no_such_code. Install it",
        ),
        (["label=command", *NIO_OUT], "label.command has no value"),
        (
            [
                "label=command",
                "label.command=cat",
                "label.holds_lengths=false",
                "recipe.hold=vector",
                *NIO_OUT,
            ],
            "recipe.hold=vector needs a command that holds lengths",
        ),
    ],
)
def test_what_cannot_be_labelled_is_said_before_anything_is_done(arguments, message, tmp_path):
    (tmp_path / "molecule.xyz").write_text("2\n\nNi 0 0 0\nO 0 0 2\n")
    assert message in the_message(run_here("label.py", *arguments, cwd=tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["molecule.xyz"]


def test_frames_of_a_dynamics_are_labelled(place):
    """No structure is needed."""
    frames = [nio_atoms() for _ in range(5)]
    for number, atoms in enumerate(frames):
        atoms.rattle(0.03, seed=number)
        atoms.arrays["spin"] = atoms.arrays.pop("initial_magmoms")
    ase.io.write(place / "run.extxyz", frames)
    recipe = ["recipe=trajectory", "recipe.systems={hot: {trajectory: run.extxyz, frames: 3}}"]
    result = run_here("label.py", "label=hamiltonian", *recipe, "output=labels", cwd=place)
    assert result.returncode == 0, result.stderr
    (system,) = read_systems([place / "labels/frames"])
    assert len(system) == 3
    for coord in system.coord:
        assert min(np.abs(coord - one.positions).max() for one in frames) < 1e-7
    again = run_here("label.py", "label=hamiltonian", *recipe, "output=labels", cwd=place)
    assert "3 of 3 frames are labelled" in again.stdout
    unused = run_here("label.py", "label=hamiltonian", *recipe, "structure=a.cif", "output=other", cwd=place)
    assert "structure=a.cif is not used: all systems of the recipe are trajectories" in the_message(unused)
    loop = ["learn.limit=0.1", "train.model=native_spin", "output=loop"]
    refused = run_here("learn.py", "label=hamiltonian", *recipe, *loop, cwd=place)
    expected = "validation.systems is missing: frames of a trajectory (hot) could be those of the training"
    assert expected in the_message(refused)
