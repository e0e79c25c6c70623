"""`spinpot learn` with its exploration in LAMMPS: two rounds, and the paths of the exploration in Python."""

import json
from pathlib import Path

import numpy as np
import pytest

from spinpot.labels.folder import Labelled
from spinpot.labels.labellers.hamiltonian import HamiltonianLabeller
from spinpot.labels.recipe import configurations, recipe_of
from spinpot.learning.engines import in_python
from spinpot.learning.explore import Trajectory, random_numbers, trajectory
from spinpot.learning.lammps import PLUGIN_PATH, find_lammps
from spinpot.learning.score import Judge
from spinpot.learning.settings import Exploration, Learning
from support.checkpoints import write_checkpoint
from support.cli import run_script
from support.frames import small_potential
from support.labellers import structure

CUBIC = [[-1, 1, 1], [1, -1, 1], [1, 1, -1]]
ROTATED = [[0, 1, 1], [1, 0, 1], [1, 1, 0]]
FEW = "{density: 3, direction: 2, moment: 2, moment_square: 2}"
SMALL = [
    *("label=hamiltonian", "label.name=alloy", "recipe=alloy"),
    *("recipe.systems.Fe3Co3O2.frames=4", "recipe.systems.Fe2Co4O2.frames=3"),
    *("train.model=native_spin", "train.trainer.max_steps=0", "train.model.fitting_net.neuron=[]"),
    *("train.model.descriptor.cutoff=3.5", "train.model.descriptor.n_radial=4"),
    f"train.+model.descriptor.channels={FEW}",
    *("exploration.trajectories=3", "exploration.steps=24", "exploration.frames=3", "learn.limit=0.001"),
    *("learn.rounds=2", "learn.batch=3", "test.frames=1", "validation.frames=1", "report=false"),
]


@pytest.fixture
def command(deepmd, plugin, monkeypatch):
    """The command that starts LAMMPS, which loads the plugin by itself."""
    environment = Path(deepmd).parents[1]
    program = next(environment.glob("lib/python3*/site-packages/lammps/lmp"))
    monkeypatch.setenv(PLUGIN_PATH, str(plugin.parent))
    return f"env LD_LIBRARY_PATH={environment / 'lib'} {program}"


def start(supercell, folder):
    """A labelled frame of NiO."""
    systems = {"NiO": {"frames": 1, "supercell": supercell, "displacement": [0, 0.1]}}
    recipe = recipe_of({"systems": systems, "moments": {"Ni": 1.9, "O": 0.0}, "tilt": [10, 40]})
    (made,) = configurations(recipe, structure(name="NiO", crystalstructure="rocksalt", a=4.17), 0)
    return Labelled(made, HamiltonianLabeller("NiO").label(made, folder), 0.0)


class Content(Judge):
    """Finds no frame uncertain."""

    def score(self, atoms):
        return 0.5


@pytest.mark.parametrize(
    ("supercell", "temperature", "field"),
    [(CUBIC, 300.0, [0.0, 0.0, 20.0]), (ROTATED, 0.0, [3.0, 20.0, 100.0])],
    ids=["bath", "rotated"],
)
def test_paths_are_those_of_python(supercell, temperature, field, command, tmp_path):
    """With the same noise, unless LAMMPS rotates the cell; constants of nature differ in the eighth digit."""
    judge = Content([write_checkpoint(tmp_path / "model.ckpt", small_potential())], Learning(limit=1.0))
    begin, settings = start(supercell, tmp_path), Exploration(steps=40, frames=2, timestep=0.5, field=field)
    ours, theirs = (
        trajectory(judge, engine, begin, settings, temperature, random_numbers(0, 0, 0))
        for engine in (in_python, find_lammps(command).dynamics)
    )
    assert (ours.ended, theirs.ended) == ("", "")
    moved = np.abs(ours.moments - begin.label.moments).max()
    apart = [np.abs(getattr(ours, name) - getattr(theirs, name)).max() for name in ("positions", "moments")]
    print(f"\nÅ, μ_B apart: {apart}, moments moved by {moved:.2f} μ_B")
    assert moved > 0.1
    assert apart[0] < 1e-6
    assert apart[1] < 1e-5


def test_two_rounds_and_a_resumed_trajectory(command, tmp_path):
    lammps = f"exploration.lammps='{command}'"
    said = run_script("learn.py", *SMALL, lammps, "output=out", cwd=tmp_path).stdout
    assert "learn.rounds=2: all rounds are done." in said
    run_script("learn.py", *SMALL, "output=python", "learn.rounds=1", cwd=tmp_path)
    ours, theirs = (
        Trajectory.read(tmp_path / own / "round_00/explored/0000.npz") for own in ("out", "python")
    )
    assert ours.start == theirs.start
    np.testing.assert_allclose(ours.positions, theirs.positions, atol=1e-6)
    np.testing.assert_allclose(ours.moments, theirs.moments, atol=1e-5)
    np.testing.assert_allclose(ours.scores, theirs.scores, rtol=1e-3)

    first = tmp_path / "out" / "round_01"
    written = (first / "explored" / "0000.npz").stat().st_mtime_ns
    chosen = json.loads((first / "chosen.json").read_text())
    for name in ("round.json", "exploration.json", "chosen.json"):
        (first / name).unlink()
    (first / "explored" / "0002.npz").unlink()
    run_script("learn.py", *SMALL, f"exploration.lammps='env A=1 {command}'", "output=out", cwd=tmp_path)
    assert (first / "explored" / "0000.npz").stat().st_mtime_ns == written
    again = json.loads((first / "chosen.json").read_text())
    assert again["configurations"] == chosen["configurations"]
    other = run_script("learn.py", *SMALL, "output=out", cwd=tmp_path, check=False)
    assert "exploration.lammps" in other.stderr
