"""Processes started by hand, one for each rank, and their results."""

import csv
import os
import socket
import subprocess
import time

import numpy as np
import pytest
import torch

from support.cli import TRAIN, python

QUICK = (
    "import runpy, sys; from spinpot.training import ranks; ranks.LINE_EVERY = 1.0; sys.argv = sys.argv[1:]; "
)
QUICK += "runpy.run_path(sys.argv[0], run_name='__main__')"
"""The script, with the lines of a rank that waits every second."""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def start_rank(rank, *arguments, cwd, port, size=2, before=()):
    """`python scripts/train.py arguments`, told of its rank by torch's variables alone.

    before: -c and code that runs the script.
    """
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    environment = {**os.environ, **meeting, "RANK": str(rank), "WORLD_SIZE": str(size)}
    return python([*before, TRAIN, *arguments], cwd=cwd, stderr=subprocess.PIPE, env=environment)


def outcomes(ranks):
    """How ranks end and what they say on stdout and stderr; within four minutes, or they are killed."""
    until = time.monotonic() + 240
    said = []
    try:
        said += [rank.communicate(timeout=until - time.monotonic()) for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    return [(rank.returncode, out, err) for rank, (out, err) in zip(ranks, said, strict=True)]


def assert_same_result(one, other):
    """Two runs, by their folders, have the same metrics and weights."""
    with (one / "metrics.csv").open() as first, (other / "metrics.csv").open() as second:
        for a, b in zip(csv.DictReader(first), csv.DictReader(second), strict=True):
            for key in a:
                assert (a[key] == "") == (b[key] == ""), (a["step"], key)
                if a[key]:
                    assert float(a[key]) == pytest.approx(float(b[key]), rel=1e-8, abs=1e-12), (
                        a["step"],
                        key,
                    )
    states = [
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for folder in (one, other)
    ]
    for name, value in states[0].items():
        np.testing.assert_allclose(value, states[1][name], atol=1e-10, rtol=1e-10, err_msg=name)
