"""`spinpot label` with GPAW itself, killed and resumed; takes minutes."""

import json
import time

import numpy as np
import pytest

from spinpot.data.systems import read_systems
from support.cli import PROJECT, python

pytestmark = pytest.mark.slow
OTHERS = ("Fe2_dense", "Fe2_wide", "Fe2_sheared", "Fe4", "Fe16")
FRAMES, PATIENCE = 10, 600.0


@pytest.fixture
def start(gpaw, tmp_path):
    """Starts `spinpot label`, of ten frames of two atoms."""
    command = ["label=gpaw_coarse", "recipe=Fe_gpaw", f"output={tmp_path}"]
    command += [f"~recipe.systems.{name}" for name in OTHERS] + [f"recipe.systems.Fe2.frames={FRAMES}"]
    return lambda: python([PROJECT / "scripts" / "label.py", *command], fresh=True)


def contents(folder):
    """Of all labels, by the folder of the job."""
    return {file.parent.name: file.read_text() for file in sorted((folder / "jobs").rglob("label.json"))}


def test_ten_frames_of_iron(start, tmp_path):
    process, begun = start(), time.monotonic()
    while len(contents(tmp_path)) < 2 and process.poll() is None and time.monotonic() < begun + PATIENCE:
        time.sleep(1.0)
    process.kill()
    process.communicate()
    first = contents(tmp_path)
    assert 2 <= len(first) < FRAMES

    out, _ = (again := start()).communicate()
    assert again.returncode == 0, out
    every = contents(tmp_path)
    assert len(every) == FRAMES
    assert {name: every[name] for name in first} == first

    (system,) = read_systems([tmp_path / "frames"])
    assert len(system.energy) == FRAMES
    assert np.abs(np.cross(system.spin, system.force_mag).sum(axis=1)).max() < 1e-3
    written = json.loads((tmp_path / "frames" / "Fe2" / "provenance.json").read_text())
    assert written["labeller"]["code"] == "GPAW"
    assert written["labeller"]["longitudinal"] is False
