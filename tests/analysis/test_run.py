"""spinpot analyze writes all files or none, the right page, and one message for each error."""

import json
import sys
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms

from spinpot.analysis.limits import NO_CELLS
from spinpot.analysis.tasks import TASKS
from spinpot.ase import SpinCalculator
from spinpot.core.errors import InputError
from support.checkpoints import write_checkpoint
from support.cli import run_script
from support.frames import small_potential
from support.html import Page, assert_self_contained
from support.in_process import run_here, the_message
from support.nio_calculator import nio_atoms

SMALL = ("task.exchange.cutoff=4.5",)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A checkpoint, a structure and an analysis of both, by the real script."""
    place = tmp_path_factory.mktemp("place")
    write_checkpoint(place / "best.ckpt", small_potential(rcut=3.0))
    atoms = nio_atoms()
    bare = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)
    bare.new_array("spin", np.array(atoms.get_initial_magnetic_moments()))
    ase.io.write(place / "nio.extxyz", bare)
    run_script("analyze.py", *given(), "task=exchange", *SMALL, "output=out", cwd=place)
    return place


def given():
    return "checkpoint=best.ckpt", "structure=nio.extxyz"


def test_the_files(place):
    assert {path.name for path in (place / "out").iterdir()} == {
        "analysis.json",
        "report.html",
        "exchange.png",
        "exchange.out",
        "TB2J.pickle",
        "vampire.ucf",
        "vampire.mat",
    }
    contents = json.loads((place / "out/analysis.json").read_text())
    assert (contents["formula"], contents["atoms"], contents["magnetic_atoms"]) == ("NiO", 4, 2)
    assert contents["settings"]["exchange"]["cutoff"] == 4.5
    shells = contents["results"]["exchange"]["shells"]
    assert [round(shell["distance_A"], 2) for shell in shells] == [2.95, 4.17]


def test_the_page(place):
    page = Page.of(place / "out/report.html")
    assert_self_contained(page)
    shells = json.loads((place / "out/analysis.json").read_text())["results"]["exchange"]["shells"]
    rows = page.tables["Shells of neighbours"]
    assert all("(meV)" in head for head in rows[0][3:])
    assert "The strongest exchange is J = " in page.text
    # The weights are random: nothing has taught this model the symmetry of NiO.
    assert [row[1] for row in rows[1:]] == [
        f"{shells[0]['distance_A']:.3f} ‡",
        f"{shells[1]['distance_A']:.3f}",
    ]
    assert len(page.all("img")) == 2  # one picture, for light and dark


def names(folder, *tasks):
    """What tasks write there beside the page, and what they say they may write."""
    written = {path.name for path in folder.iterdir()} - {"analysis.json", "report.html"}
    return written, {file for task in tasks for file in TASKS[task].files}


def test_the_files_are_those_that_tasks_name_before(place):
    written, named = names(place / "out", "exchange")
    assert written == named


def test_a_file_without_training_cells(place):
    """It is said by the tasks that use single pairs, and by no others."""
    tasks = ("task=[exchange,magnons]", *SMALL, "task.magnons.cutoff=4.5", "task.magnons.samples=2")
    result = run_here("analyze.py", *given(), *tasks, "output=twice", cwd=place)
    assert result.returncode == 0, result.stderr
    for text in (" ".join(result.stdout.split()), Page.of(place / "twice/report.html").text):
        assert text.count(NO_CELLS) == 2
    written, named = names(place / "twice", "exchange", "magnons")
    assert written == named
    shells = json.loads((place / "twice/analysis.json").read_text())["results"]["exchange"]["shells"]
    assert [shell["determined_by_training"] for shell in shells] == [None, None]
    result = run_here("analyze.py", *given(), "task=rotation", "output=turned", cwd=place)
    assert "training cells" not in result.stdout


TWO = ("task=[rotation,exchange]", "task.rotation.points=4", *SMALL)


def test_finished_tasks_are_kept(place, monkeypatch):
    """Where a later one fails, whatever its error."""
    monkeypatch.setattr("spinpot.analysis.exchange.shells_of", fails)
    result = run_here("analyze.py", *given(), *TWO, "output=kept", cwd=place)
    assert the_message(result) == "a cell too far"
    written = json.loads((place / "kept/analysis.json").read_text())
    assert list(written["results"]) == list(written["settings"]) == ["rotation"]
    assert written["remarks"][-1] == "Not done: exchange. exchange stopped: a cell too far"
    assert {path.name for path in (place / "kept").iterdir()} == {
        "analysis.json",
        "report.html",
        "rotation.png",
    }
    assert "Not done: exchange. exchange stopped: a cell too far" in Page.of(place / "kept/report.html").text


def test_nothing_is_written_where_the_first_task_fails(place, monkeypatch):
    monkeypatch.setattr("spinpot.analysis.exchange.shells_of", fails)
    result = run_here("analyze.py", *given(), "task=[exchange,rotation]", *SMALL, "output=none", cwd=place)
    assert the_message(result) == "a cell too far"
    assert not (place / "none").exists()


def fails(found):
    raise InputError("a cell too far")


MAGNOPY = "task=magnons needs magnopy. Install it: pip install -c constraints.txt -e '.[analysis]'."


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        (("task=[exchange,magnons]",), MAGNOPY),
        (
            ("task=[exchange,rotation]", "task.rotation.atoms=99"),
            "task.rotation.atoms=99: expected one or several",
        ),
        (("task=[exchange,spiral]", "task.spiral.most_atoms=1"), "task.spiral.most_atoms=1"),
        (
            ("task=[exchange,dynamics]",),
            "task.dynamics.repeat=[1, 1, 1]: expected more cells, such as [2,2,2]: now each sublattice",
        ),
    ],
)
def test_what_a_later_task_lacks_is_said_before_the_first(place, monkeypatch, tasks, said):
    monkeypatch.setitem(sys.modules, "magnopy", None)
    monkeypatch.setattr("spinpot.analysis.exchange.exchange_of", None)  # a call would be a traceback
    result = run_here("analyze.py", *given(), *tasks, "output=never", cwd=place)
    assert said in the_message(result)
    assert not (place / "never").exists()


def test_nothing_is_overwritten(place):
    before = {path: path.read_bytes() for path in (place / "out").iterdir()}
    message = the_message(run_here("analyze.py", *given(), "task=exchange", "output=out", cwd=place))
    assert "analysis.json is there already" in message
    assert {path: path.read_bytes() for path in (place / "out").iterdir()} == before


@pytest.mark.parametrize("file", ["rotation.png", "vampire.mat"])
def test_an_old_file_of_any_task_is_said_before_the_work(file, place, tmp_path):
    (tmp_path / file).write_text("old")
    result = run_here("analyze.py", *given(), *TWO, f"output={tmp_path}", cwd=place)
    assert the_message(result) == (
        f"output={tmp_path}: {file} is there already, and nothing is overwritten. Give another folder, or "
        "remove the old results."
    )
    assert not result.stdout
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(file, "old")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("task=exchang",), "There is no task=exchang; choose from dynamics, exchange"),
        ((), "You must specify 'task'"),
        (("task=exchange", "task.exchange.cutof=5"), "Did you mean task.exchange.cutoff?"),
        (
            ("task=exchange", "task.exchange.cutoff=far"),
            "task.exchange.cutoff=far: expected a number or null",
        ),
        (("task=exchange", "task.exchange.cutoff=-1"), "task.exchange.cutoff=-1: expected a distance"),
        (("task=exchange", "structure=other.xyz"), "structure=other.xyz: no such file"),
        (("task=exchange", "checkpoint=other.ckpt"), "other.ckpt"),
        (("task=magnons", "task.magnons.path=GQ"), "task.magnons.path=GQ"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_written(arguments, said, place):
    message = the_message(run_here("analyze.py", *given(), "output=new", *arguments, cwd=place))
    assert said in message
    assert not (place / "new").exists()


def test_the_reach_holds_all_that_acts(place):
    """A moment beyond the reach of another feels nothing of it, one within does."""
    model = SpinCalculator(str(place / "best.ckpt"))
    atoms = nio_atoms() * (3, 3, 3)
    moments = np.array(atoms.get_initial_magnetic_moments())
    reach = model.reach(atoms)
    distances = atoms.get_distances(0, range(len(atoms)), mic=True)
    before = model.get_property("magnetic_forces", atoms)
    moments[0] += [0.3, 0.1, -0.2]
    atoms.set_initial_magnetic_moments(moments)
    changed = np.abs(model.get_property("magnetic_forces", atoms) - before).max(axis=1) > 1e-12
    assert changed.sum() > 6
    assert distances[changed].max() <= reach
    assert distances.max() > reach
