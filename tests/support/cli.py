"""The real scripts in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]


def run_script(name: str, *arguments: str, cwd: Path | None = None, check: bool = True, **environment: str):
    """`python scripts/NAME arguments`; with `check` a failure shows what the script said."""
    result = subprocess.run(
        [sys.executable, str(PROJECT / "scripts" / name), *arguments],
        cwd=cwd or PROJECT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    if check and result.returncode != 0:
        raise AssertionError(f"{name} {' '.join(arguments)} failed:\n{result.stdout}\n{result.stderr}")
    return result
