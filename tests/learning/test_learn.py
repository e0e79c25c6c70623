"""spinpot learn as users run it: killed and resumed, with failing labels, and refused."""

import json
import signal
import time
from pathlib import Path

import pytest
from ase.io import write

from spinpot.core.errors import InputError
from spinpot.labels.labellers.hamiltonian import HamiltonianLabeller
from spinpot.labels.recipe import recipe_of
from spinpot.labels.run import label_all
from spinpot.learning import loop
from spinpot.learning.settings import Exploration, HeldOut, Learning
from spinpot.learning.trainings import Trainings
from support.cli import PROJECT, python, run_script
from support.in_process import run_here, the_message
from support.labellers import ALLOY, SITES, Counting, alloy

FEW = "{density: 3, direction: 2, moment: 2, moment_square: 2}"
LINEAR = [
    *("model=native_spin", "trainer.max_steps=0", "model.fitting_net.neuron=[]"),
    *("model.descriptor.cutoff=3.5", "model.descriptor.n_radial=4", f"+model.descriptor.channels={FEW}"),
]
LABELLER = ["label=hamiltonian", "label.name=alloy", "recipe=alloy"]
SMALL = [
    *LABELLER,
    *("recipe.systems.Fe3Co3O2.frames=4", "recipe.systems.Fe2Co4O2.frames=3"),
    *(f"train.{one}" for one in LINEAR),
    *("exploration.trajectories=3", "exploration.steps=24", "exploration.frames=3", "learn.limit=0.001"),
    *("learn.rounds=2", "learn.batch=3", "test.frames=1", "validation.frames=1", "report=false"),
]


def chosen(folder: Path) -> list:
    return [json.loads((folder / f"round_0{k}" / "chosen.json").read_text())["from"] for k in range(2)]


def configurations(folder: Path) -> list:
    return [
        json.loads((folder / f"round_0{k}" / "chosen.json").read_text())["configurations"] for k in range(2)
    ]


def labels(folder: Path) -> dict[str, int]:
    """When each label was written."""
    return {str(file): file.stat().st_mtime_ns for file in folder.rglob("label.json")}


def killed_when(there: str, place: Path) -> None:
    """Start it, and kill it when such a file is there."""
    process = python([PROJECT / "scripts" / "learn.py", *SMALL, "output=killed"], cwd=place)
    until = time.monotonic() + 300
    while not [*(place / "killed").glob(there)]:
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.slow  # six trainings, each in a process of its own
def test_killed_and_resumed_is_as_if_nothing_had_been(tmp_path):
    known = {}
    for there in (
        "round_00/labels/jobs/*/*/label.json",
        "round_00/run/config.yaml",
        "round_00/explored/0001.npz",
        "round_00/round.json",
        "round_01/labels/jobs/*/*/label.json",
        "round_01/exploration.json",
    ):
        killed_when(there, tmp_path)
        known |= {name: when for name, when in labels(tmp_path / "killed").items() if name not in known}
    run_script("learn.py", *SMALL, "output=killed", cwd=tmp_path)
    after = labels(tmp_path / "killed")
    assert after == known | after, "no label was written twice"
    said = run_script("learn.py", *SMALL, "output=at_once", cwd=tmp_path).stdout
    assert "learn.rounds=2: all rounds are done." in said
    assert configurations(tmp_path / "killed") == configurations(tmp_path / "at_once")
    assert chosen(tmp_path / "killed") == chosen(tmp_path / "at_once")
    assert len({json.dumps(one) for one in configurations(tmp_path / "killed")[0]}) == 3
    again = run_script("learn.py", *SMALL, "output=killed", cwd=tmp_path).stdout
    assert "training in" not in again
    assert labels(tmp_path / "killed") == after
    other = run_here("learn.py", *SMALL, "output=killed", "learn.batch=4", cwd=tmp_path)
    assert "was started with other settings (learn.batch: 3 there, 4 now)" in the_message(other)


def train_here(self, train, validation, test, folder, seed):
    """In the test's own process."""
    result = run_here("train.py", *self.arguments(train, validation, test, folder, seed), cwd=Path.cwd())
    assert result.returncode == 0, result.stderr


def learnt(labeller, folder, **more):
    """Two rounds; more: settings of `learn`."""
    exploration = Exploration(trajectories=3, steps=12, frames=3, temperatures=[300.0, 900.0])
    settings = loop.Settings(
        exploration,
        Learning(**{"limit": 1e-3, "batch": 5, "rounds": 2} | more),
        HeldOut(frames=3),
        HeldOut(frames=3),
    )
    recipe = recipe_of({"structure": SITES, "systems": {"alloy": {**ALLOY, "frames": 7}}})
    return loop.learn(labeller, recipe, folder, LINEAR, settings)


def test_a_labeller_that_fails_on_a_fifth_of_the_frames(tmp_path, monkeypatch):
    monkeypatch.setattr(Trainings, "train", train_here)
    labeller = Counting(tmp_path / "asked", fails=lambda number: number % 5 == 2)
    first, second = learnt(labeller, tmp_path / "out")
    assert (first["labels"], first["failed"], first["asked"]) == (6, 1, 13)
    assert (second["labels"], second["failed"], second["asked"]) == (10, 1, 18)
    assert second["failures"] == {"alloy/0002": "not converged after 200 iterations"}
    page = (tmp_path / "out" / "report.html").read_text()
    assert "10 labels in 2 rounds" in page
    assert "round 1, alloy/0002" in page
    assert "not converged after 200 iterations" in page


@pytest.mark.parametrize(
    ("more", "rounds", "said"),
    [
        ({"limit": 1e3}, 1, "0.0 % of the explored frames are uncertain; learn.uncertain_share="),
        ({"labels": 15}, 2, "learn.labels=15: the budget of labels is spent."),
        ({"hours": 1e-9}, 1, "learn.hours=1e-09: the time is up."),
    ],
)
def test_when_it_ends(tmp_path, monkeypatch, capsys, more, rounds, said):
    monkeypatch.setattr(Trainings, "train", train_here)
    found = learnt(Counting(tmp_path / "asked"), tmp_path / "out", **more)
    assert len(found) == rounds
    assert said in capsys.readouterr().out
    assert found[-1]["asked"] <= 15


def test_a_trajectory_that_has_grown_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(loop.Loop, "run", lambda self: [])

    def started(frames):
        made = [one.atoms.copy() for one in alloy(frames)]
        for atoms, one in zip(made, alloy(frames), strict=True):
            atoms.arrays["spin"] = one.moments
        write(tmp_path / "run.extxyz", made)
        still = {"displacement": [0.0, 0.0], "tilt": [0.0, 0.0], "turn": False}
        hot = {"trajectory": str(tmp_path / "run.extxyz"), "frames": 3}
        held_out = HeldOut([str(tmp_path / "labels" / "frames")])
        settings = loop.Settings(Exploration(), Learning(limit=0.1), held_out, held_out)
        recipe = recipe_of({**still, "systems": {"hot": hot}})
        return loop.learn(HamiltonianLabeller("alloy"), recipe, tmp_path / "out", LINEAR, settings)

    label_all(alloy(2), HamiltonianLabeller("alloy"), tmp_path / "labels", {}, report=False)
    assert started(5) == started(5) == []
    with pytest.raises(
        InputError, match=r"run\.extxyz has changed: it had 5 frames when output=.*, and has 7 now"
    ):
        started(7)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["learn.limit=0"], "learn.limit=0: expected a number > 0, or null."),
        (["learn.limit=null"], "learn.limit and learn.limit_mag are both null."),
        (["train.model=spin"], "learn.ensemble=1: this model does not know its errors"),
        (["recipe=default", "recipe.systems.A={frames: 3}"], "structure is missing"),
        (["train.model.cutof=4"], "train: Unknown setting model.cutof"),
        (["train.trainer.max_steps=-3"], "train: trainer.max_steps=-3: expected a whole number >= 0."),
        (["train.data=NiO"], "train: data=NiO: learn sets data itself. Leave it out."),
        (["exploration.frames=99"], "exploration.frames=99: expected at most as many as steps, 24."),
        (["learn.labels=3"], "learn.labels=3: the first round, validation and test already need 11 frames."),
        (["test.systems=[nowhere]"], "nowhere"),
        (["exploration.damping=0", "exploration.friction=0"], "nothing is coupled to the heat bath"),
        (["exploration.lammps=no_lmp"], "exploration.lammps=no_lmp: there is no program no_lmp."),
    ],
)
def test_what_is_refused_before_anything_is_computed(tmp_path, changes, said):
    kept = [one for one in SMALL if not any(one.split("=")[0] == other.split("=")[0] for other in changes)]
    if changes[0].startswith(("recipe", "train.model=")):
        kept = [one for one in kept if not one.startswith(("recipe.systems", "train."))]
    result = run_here("learn.py", *kept, *changes, "output=out", cwd=tmp_path)
    assert said in the_message(result)
    assert not (tmp_path / "out").exists()
