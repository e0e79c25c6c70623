"""scripts/analyze.py: all files or none, the right page, and one message for what is wrong."""

import json
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms

from spinpot.ase import SpinCalculator
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
    rows = page.tables["Shells (energies in meV)"]
    assert [row[1] for row in rows[1:]] == [f"{shell['distance_A']:.3f}" for shell in shells]
    assert len(page.all("img")) == 2  # one picture, for light and dark


def test_nothing_is_overwritten(place):
    before = {path: path.read_bytes() for path in (place / "out").iterdir()}
    message = the_message(run_here("analyze.py", *given(), "task=exchange", "output=out", cwd=place))
    assert "analysis.json is there already" in message
    assert {path: path.read_bytes() for path in (place / "out").iterdir()} == before


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
