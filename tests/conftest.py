"""Paths and data shared by many tests."""

import os
import warnings
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A run must never wait for an account or the network.
os.environ["WANDB_MODE"] = "offline"


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real frames, or a skip that says how to have it."""
    folder = os.environ.get("SPINPOT_DATA")
    if not folder:
        pytest.skip("needs real frames: set SPINPOT_DATA to a folder with NiO_deltaspin, Fe16, …")
    return Path(folder)


@pytest.fixture
def compiled():
    """The library, compiled if need be."""
    from spinpot import kernels  # it imports torch

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        if not kernels.build():
            pytest.skip(f"needs a C++ compiler: {said[-1].message}")
    return kernels.library()
