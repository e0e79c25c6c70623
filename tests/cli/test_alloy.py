"""The shipped native-spin experiment learns an alloy of three elements."""

import json

import numpy as np
import pytest

from support.alloy import write_alloys
from support.cli import run_script

SHORT = ("trainer.max_steps=40", "trainer.val_check_interval=20", "report=false")
LARGEST = {"rmse_e": 0.05, "rmse_fr": 0.04, "rmse_fm": 0.02}
"""In parts of the spread."""


@pytest.mark.slow
def test_an_alloy_of_three_elements(tmp_path):
    """Errors in parts of the labels' spread, on orders of the atoms that were not trained."""
    validation, data = write_alloys(tmp_path / "data")
    run_script("train.py", "model=native_spin", *data, *SHORT, f"hydra.run.dir={tmp_path / 'run'}")
    found = json.loads((tmp_path / "run" / "summary.json").read_text())["val"]
    for name, spread in spreads(validation).items():
        assert found[name] < LARGEST[name] * spread, name


def spreads(systems):
    """Of the labels: energies per atom beyond those of the elements, forces, magnetic forces of Fe and Co."""
    counts = np.array([np.bincount(made.types, minlength=3) for made in systems for _ in range(len(made))])
    energies = np.concatenate([made.energy for made in systems])
    left = energies - counts @ np.linalg.lstsq(counts, energies, rcond=None)[0]
    force_mag = [made.force_mag[:, made.types < 2].flatten() for made in systems]
    return {
        "rmse_e": (left / 8).std(),
        "rmse_fr": np.concatenate([made.force.flatten() for made in systems]).std(),
        "rmse_fm": np.concatenate(force_mag).std(),
    }
