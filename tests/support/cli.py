"""The real scripts in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]


def run_script(name: str, *arguments: str, cwd: Path | None = None, check: bool = True, **environment: str):
    """`python scripts/NAME arguments`; with `check` a failure shows what the script said.

    The folder of real frames is not the scripts' data folder, lest they make their own data there.
    """
    inherited = {name: value for name, value in os.environ.items() if name != "SPINPOT_DATA"}
    result = subprocess.run(
        [sys.executable, str(PROJECT / "scripts" / name), *arguments],
        cwd=cwd or PROJECT,
        env={**inherited, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    if check and result.returncode != 0:
        raise AssertionError(f"{name} {' '.join(arguments)} failed:\n{result.stdout}\n{result.stderr}")
    return result
