"""The real scripts in processes of their own."""

import ctypes
import functools
import inspect
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
TRAIN = PROJECT / "scripts" / "train.py"
PR_SET_CHILD_SUBREAPER = 36
"""Of Linux' prctl: descendants whose parent has ended become children of this process."""


def run_script(
    name: str,
    *arguments: str,
    cwd: Path | None = None,
    check: bool = True,
    fresh: bool = False,
    **environment: str,
):
    """`python scripts/NAME arguments`; with `check` a failure shows what the script said.

    The folder of real frames is not the scripts' data folder, lest they make their own data there.
    fresh: see python().
    """
    inherited = {name: value for name, value in os.environ.items() if name != "SPINPOT_DATA"}
    command = [PROJECT / "scripts" / name, *arguments]
    result = run_python(command, fresh=fresh, cwd=cwd or PROJECT, env={**inherited, **environment})
    if check and result.returncode != 0:
        raise AssertionError(f"{name} {' '.join(arguments)} failed:\n{result.stdout}\n{result.stderr}")
    return result


def run_python(arguments: Sequence[Any], **options: Any) -> subprocess.CompletedProcess[str]:
    """`python arguments` to its end; options: those of python()."""
    process = python(arguments, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, **options)
    out, err = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def python(arguments: Sequence[Any], fresh: bool = False, env: dict[str, str] | None = None, **options: Any):
    """`python arguments`, started with one thread and its stdout in a pipe; options: those of Popen.

    A file, or -c and code, runs in a fork of a process that has imported everything (support.forkserver);
    fresh: in a process that starts as a user's does, which takes seconds longer.
    """
    environment = {**(os.environ if env is None else env), "OMP_NUM_THREADS": "1"}
    fresh = fresh or sys.platform != "linux"
    kind = subprocess.Popen if fresh else Forked
    started = {"stdout": subprocess.PIPE, "text": True, "env": environment, **options}
    return kind([sys.executable, *map(str, arguments)], **started)


class Forked(subprocess.Popen):
    """A child of this process that the forkserver forks."""

    def _execute_child(self, *given: Any) -> None:
        asked = inspect.signature(super()._execute_child).bind(*given).arguments
        request = {
            "arguments": asked["args"][1:],
            "cwd": str(asked["cwd"] or Path.cwd()),
            "environment": dict(asked["env"]),
            "own_group": asked["start_new_session"],
        }
        ours = [asked[end] for end in ("p2cread", "c2pwrite", "errwrite")]
        self.pid = fork(request, [standard if end == -1 else end for standard, end in enumerate(ours)])
        self._child_created = True
        self._close_pipe_fds(*(asked[end] for end in PIPES))


PIPES = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")


def fork(request: dict[str, Any], files: Sequence[int]) -> int:
    """The process number of a new child of this process."""
    control, prctl = _forkserver(), ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        socket.send_fds(control, [json.dumps(request).encode()], files)
        pid = int(control.recv(100))
        control.recv(100)  # by now it is ours
    finally:
        prctl(PR_SET_CHILD_SUBREAPER, 0)
    return pid


@functools.cache
def _forkserver() -> socket.socket:
    """A socket to a forkserver that lives as long as this process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", "support.forkserver", str(theirs.fileno())]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.Popen(command, cwd=PROJECT / "tests", env=environment, pass_fds=[theirs.fileno()])
    theirs.close()
    return ours
