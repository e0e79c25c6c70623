"""A model unknown to spinpot (tests/toy) works like a built-in one, with a folder and a yaml file only."""

import csv
import json
import os
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch

import spinpot
from spinpot.ase import SpinCalculator
from spinpot.models.checkpoint import save_potential
from support.cli import run_script
from support.frames import small_potential

TOY = Path(__file__).parents[1] / "toy"
SMALL = (
    *(f"hydra.searchpath=[file://{TOY / 'configs'}]", "model=toy", "data.batch_size=4"),
    *("trainer.max_steps=40", "trainer.val_check_interval=20", "trainer.log_every_n_steps=20"),
    *("loss.start_pref_v=1", "loss.limit_pref_v=1", "scheduler.start_lr=0.01"),
)
FEW = (*SMALL, "trainer.max_steps=8", "trainer.val_check_interval=4", "report=false")


def with_toy(script, *arguments, **options):
    path = os.pathsep.join(filter(None, (str(TOY), os.environ.get("PYTHONPATH", ""))))
    return run_script(script, *arguments, PYTHONPATH=path, **options)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Where a run of the toy model is."""
    folder = tmp_path_factory.mktemp("toy")
    with_toy("train.py", *SMALL, "hydra.run.dir=run", cwd=folder)
    return folder


def losses(run):
    """The first and the last validation loss."""
    with open(run / "metrics.csv", newline="") as file:
        found = [float(row["val/loss"]) for row in csv.DictReader(file) if row["val/loss"]]
    return found[0], found[-1]


@pytest.fixture
def toy(monkeypatch):
    """The toy's package is installed."""
    monkeypatch.syspath_prepend(str(TOY))


def test_it_trains(place):
    summary = json.loads((place / "run/summary.json").read_text())
    assert summary["model"]["kind"] == "toy"
    assert summary["evaluation"] == "torch"
    first, last = losses(place / "run")
    assert last < 0.5 * first
    assert (place / "run/report.html").is_file()


def test_it_resumes_as_if_uninterrupted(place):
    schedule = "scheduler.stop_lr=0.01"  # the same rate at each step, however many there are
    with_toy("train.py", *FEW, "trainer.max_steps=4", schedule, "hydra.run.dir=half", cwd=place)
    with_toy("train.py", *FEW, schedule, "hydra.run.dir=half", "resume=auto", cwd=place)
    with_toy("train.py", *FEW, schedule, "hydra.run.dir=whole", cwd=place)
    weights = [
        torch.load(place / name / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for name in ("half", "whole")
    ]
    for name, values in weights[0].items():
        torch.testing.assert_close(values, weights[1][name], rtol=0, atol=0)


def weights_of(run):
    return torch.load(run / "checkpoints/best.ckpt", weights_only=True)["state_dict"]


def test_another_run_begins_with_it(place):
    """Its own settings hold, not the config's."""
    still = ["trainer.max_steps=20", "scheduler.start_lr=1e-30", "scheduler.stop_lr=1e-30"]
    begin = ["init_from=run", "model.n_radial=4", "report=false", "hydra.run.dir=begun"]
    said = " ".join(with_toy("train.py", *SMALL, *still, *begin, cwd=place).stdout.split())
    assert "model.n_radial │ 4 │ 6" in said
    for name, values in weights_of(place / "run").items():
        torch.testing.assert_close(weights_of(place / "begun")[name], values, rtol=0, atol=0)


def refused(*arguments, cwd):
    result = with_toy("train.py", *arguments, "report=false", "hydra.run.dir=refused", cwd=cwd, check=False)
    assert result.returncode == 1
    assert not (cwd / "refused").exists()
    return result.stderr


def test_a_run_does_not_begin_with_another_kind_of_model(place):
    save_potential(place / "deepspin.ckpt", small_potential())
    message = refused(*SMALL, "init_from=deepspin.ckpt", cwd=place)
    assert message == (
        "Error: init_from=deepspin.ckpt: the file holds a model of kind deepspin, but the config asks for "
        "kind toy. Both must be the same: choose the file's kind with model=native_spin|spin, or give "
        "another file.\n"
    )
    message = refused("debug=fast", "init_from=run/checkpoints/best.ckpt", cwd=place)
    assert "a model of kind toy, but the config asks for kind deepspin. Both must be the same:" in message


def test_it_evaluates(place):
    with_toy(*("evaluate.py", "checkpoint=run", "systems=datasets/NiO/test", "output=errors"), cwd=place)
    assert json.loads((place / "errors/evaluation.json").read_text())["rmse_fm"] > 0.0


def test_it_runs_in_ase(place, toy):
    predictor = spinpot.load(place / "run")
    (first, *_) = sorted((place / "datasets/NiO/test").iterdir())
    (system, *_) = predictor.systems([first])
    predicted = predictor(system)
    from support.frames import atoms_of

    atoms = atoms_of(system)
    atoms.calc = SpinCalculator(place / "run")
    np.testing.assert_allclose(atoms.get_potential_energy(), predicted["energy"][0], rtol=1e-12)
    np.testing.assert_allclose(atoms.get_forces(), predicted["force"][0], atol=1e-12)
    moved = atoms.copy()
    moved.positions[0, 0] += 1e-4
    moved.calc = atoms.calc
    slope = (moved.get_potential_energy() - predicted["energy"][0]) / 1e-4
    np.testing.assert_allclose(slope, -predicted["force"][0][0, 0], rtol=1e-2, atol=1e-3)
    ase.io.write(place / "structure.extxyz", atoms.copy())


def test_it_is_analyzed(place, toy):
    structure = next((place / "datasets/NiO/test").iterdir())
    with_toy(
        *("analyze.py", "checkpoint=run", f"structure={structure}", "task=exchange", "output=physics"),
        cwd=place,
    )
    assert (place / "physics/report.html").is_file()


@pytest.mark.slow
def test_it_sweeps_with_the_wrappers(place):
    options = ("model.spin.time_reversal=none,exact", "model/exchange=heisenberg")
    with_toy("train.py", "-m", *FEW, *options, "hydra.sweep.dir=sweep", cwd=place)
    with_toy("sweep_table.py", "sweep", cwd=place)
    assert (place / "sweep/report.html").is_file()
    for job in "01":
        summary = json.loads((place / "sweep" / job / "summary.json").read_text())
        assert "bilinear" in summary["model"]["exchange"]["terms"]
        assert summary["model"]["time_reversal"] == bool(int(job))
    with_toy("report.py", "run", cwd=place)
