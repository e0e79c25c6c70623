"""Clusters, slabs and crystals together in train, evaluate, audit and analyze."""

import json
from dataclasses import replace

import ase.io
import numpy as np
import pytest

from spinpot.data.from_ase import system_from_atoms
from spinpot.data.prepare import _atoms
from support.checkpoints import write_checkpoint
from support.folders import with_labels_of_a_potential, write_npy
from support.frames import random_system, small_potential
from support.in_process import run_here, the_message

KINDS = {"cluster": (False, False, False), "slab": (True, True, False)}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """train and validation with a crystal, a cluster and a slab each."""
    place = tmp_path_factory.mktemp("data")
    for seed, part in ((1, "train"), (2, "validation")):
        write_npy(place / part / "crystal", with_labels_of_a_potential(random_system(seed, 4)))
        for name, pbc in KINDS.items():
            made = replace(random_system(seed + 10, 3), pbc=pbc)
            made.box[:, ~np.array(pbc)] = 0.0
            write_npy(place / part / name, with_labels_of_a_potential(made))
    return place


@pytest.mark.slow
def test_training_and_evaluation(folders, tmp_path):
    result = run_here(
        "train.py",
        *("data=npy", f"data.train=[{folders / 'train'}]", f"data.validation=[{folders / 'validation'}]"),
        *(
            "debug=fast",
            "report=false",
            "model.descriptor.rcut=4.0",
            "data.batch_size=4",
            f"hydra.run.dir={tmp_path / 'run'}",
        ),
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    assert "Periodic in no direction of the cell (train-cluster, validation-cluster)" not in result.stdout
    assert "Periodic in no direction of the cell (cluster)" in result.stdout
    assert "Periodic along a and b of the cell (slab)" in result.stdout
    checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"
    result = run_here(
        "evaluate.py",
        *(f"checkpoint={checkpoint}", f"systems=[{folders / 'validation'}]", f"output={tmp_path / 'out'}"),
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    evaluation = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert set(evaluation["systems"]) == {"crystal", "cluster", "slab"}
    assert {system["name"]: system.get("pbc") for system in evaluation["data"]["systems"]} == {
        "crystal": None,
        "cluster": [False, False, False],
        "slab": [True, True, False],
    }


def test_the_audit(folders, tmp_path):
    result = run_here("audit.py", f"systems=[{folders / 'train'}]", "output=audited", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "Å apart" not in result.stdout


@pytest.fixture(scope="module")
def structures(tmp_path_factory):
    place = tmp_path_factory.mktemp("structures")
    write_checkpoint(place / "best.ckpt", small_potential())
    for name, pbc in KINDS.items():
        made = replace(random_system(1), pbc=pbc)
        made.box[:, ~np.array(pbc)] = 0.0
        ase.io.write(place / f"{name}.extxyz", _atoms(made, 0), format="extxyz")
    return place


@pytest.mark.parametrize("kind", KINDS)
def test_a_structure_relaxes_and_keeps_its_periodicity(kind, structures, tmp_path):
    arguments = (
        "checkpoint=best.ckpt",
        f"structure={kind}.extxyz",
        "task=relax",
        f"output={tmp_path / 'out'}",
    )
    result = run_here("analyze.py", *arguments, "task.relax.steps=2", cwd=structures)
    assert result.returncode == 0, result.stderr
    end = ase.io.read(tmp_path / "out" / "relaxed.extxyz")
    assert tuple(end.pbc.tolist()) == KINDS[kind]
    end.set_initial_magnetic_moments(end.arrays["spin"])
    assert system_from_atoms(end).pbc == KINDS[kind]


@pytest.mark.parametrize(
    ("kind", "arguments", "said"),
    [
        (
            "cluster",
            ("task=[relax,exchange]",),
            "task exchange: needs a crystal, but the structure is periodic in no direction of the cell. Give "
            "a crystal, or use another task: rotation, relax, dynamics.",
        ),
        (
            "slab",
            ("task=[magnons,spiral]",),
            "task magnons, spiral: needs a crystal, but the structure is periodic along a and b of the cell. "
            "Give a crystal, or use another task: rotation, relax, dynamics.",
        ),
        (
            "slab",
            ("task=dynamics", "task.dynamics.repeat=[2,2,2]"),
            "task.dynamics.repeat=[2, 2, 2]: expected repeats only along a and b of the cell, where the "
            "structure is periodic.",
        ),
    ],
)
def test_what_needs_a_crystal(kind, arguments, said, structures, tmp_path):
    given = ("checkpoint=best.ckpt", f"structure={kind}.extxyz", *arguments, f"output={tmp_path / 'out'}")
    assert the_message(run_here("analyze.py", *given, cwd=structures)) == said
    assert not (tmp_path / "out").exists()
