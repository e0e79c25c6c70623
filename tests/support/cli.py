"""The real scripts in their own processes."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from support.forkserver import Forked

PROJECT = Path(__file__).parents[2]
TRAIN = PROJECT / "scripts" / "train.py"


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
