"""spinpot analyze with tasks that rotate, relax and move spins, and its errors."""

import json

import ase.io
import numpy as np
import pytest

from spinpot.analysis.tasks import TASKS as KNOWN
from support.checkpoints import write_checkpoint
from support.cli import run_script
from support.folders import write_npy
from support.frames import random_system, small_potential
from support.html import Page, assert_self_contained
from support.in_process import run_here, the_message

TASKS = ("rotation", "spiral", "relax", "dynamics")
SHORT = (
    "task.rotation.points=4",
    "task.spiral.steps=1",
    "task.relax.steps=3",
    "task.dynamics.repeat=[2,1,1]",
    "task.dynamics.temperatures=[50]",
    "task.dynamics.equilibrate=0.01",
    "task.dynamics.average=0.01",
    "task.dynamics.conserve=0.01",
    "task.dynamics.timestep=0.5",
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("place")
    write_checkpoint(place / "best.ckpt", small_potential())
    write_npy(place / "frames", random_system(3, n_frames=2))
    return place


def arguments(*more, output="out"):
    return ("checkpoint=best.ckpt", "structure=frames@1", f"output={output}", *more)


def test_all_four(place):
    """In a process of its own: tables, pictures, json and the page."""
    run_script("analyze.py", *arguments(f"task=[{','.join(TASKS)}]", *SHORT), cwd=place)
    written = sorted(path.name for path in (place / "out").iterdir())
    assert written == [
        "analysis.json",
        "dynamics.png",
        "relaxation.png",
        "relaxed.extxyz",
        "report.html",
        "rotation.png",
        "spiral.png",
    ]
    named = {file for task in TASKS for file in KNOWN[task].files}
    assert set(written) - {"analysis.json", "report.html"} == named
    results = json.loads((place / "out/analysis.json").read_text())["results"]
    assert list(results) == list(TASKS)
    assert results["rotation"]["torque_error"] < 1e-6
    assert len(results["spiral"]["q"]) == 2
    assert results["relax"]["energy"][-1] < results["relax"]["energy"][0]
    assert 0.0 < results["dynamics"]["order"][0] <= 1.0
    end = ase.io.read(place / "out/relaxed.extxyz")
    assert np.isfinite(end.arrays["spin"]).all()
    page = Page.of(place / "out/report.html")
    assert_self_contained(page)
    for title in ("Rotation of moments", "Spin spirals", "Relaxation", "Spin-lattice dynamics"):
        assert title in page.text


def test_it_goes_on_from_the_relaxed_structure(place):
    """What relax writes is a structure to analyse; what is there is never overwritten."""
    move = ("task=relax", "task.relax.steps=2", "task.relax.move=spins")
    assert run_here("analyze.py", *arguments(*move, output="first"), cwd=place).returncode == 0
    again = ("checkpoint=best.ckpt", "structure=first/relaxed.extxyz", "output=second", *move)
    result = run_here("analyze.py", *again, cwd=place)
    assert result.returncode == 0, result.stderr
    message = the_message(run_here("analyze.py", *again, cwd=place))
    assert "nothing is overwritten" in message


REFUSED = {
    "task=rotation task.rotation.atoms=9": "task.rotation.atoms=9: expected one or several different indices",
    "task=rotation "
    "task.rotation.atoms=4": "atoms=4: expected one or several different indices of atoms with moments",
    "task=rotation task.rotation.atoms=one": "atoms=one: expected a whole number, a list of whole",
    "task=rotation task.rotation.axes=[0,0,1]": "Did you mean",
    "task=spiral task.spiral.path=[[0.123,0,0]] task.spiral.most_atoms=20": "The nearest commensurate one is",
    "task=spiral task.spiral.unit=nm": "expected fractional or 1/Å",
    "task=relax task.relax.move=cell": "expected atoms, spins or both",
    "task=dynamics task.dynamics.temperatures=[-10]": "expected one or several, in K and >= 0",
    "task=dynamics": "expected more cells, such as [2,2,2]",
    "task=relax task.relax.steps=1 output=/proc/nowhere": "cannot write there",
}


@pytest.mark.parametrize("given", REFUSED)
def test_refused(place, given):
    result = run_here("analyze.py", *arguments(output="refused"), *given.split(), cwd=place)
    assert REFUSED[given] in the_message(result)
    assert not result.stdout  # it was said before any work
    assert not (place / "refused").exists()
