"""Processes that somebody starts by hand, one for each rank."""

import os
import socket
import subprocess
import time

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
