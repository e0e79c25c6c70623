"""Which program made a run."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("spinpot", "torch", "pytorch-lightning", "hydra-core", "dpdata", "vesin", "numpy")


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that decide about a run's numbers."""
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }


def git_commit(folder: Path = Path(__file__).parent) -> str | None:
    """The commit of the program, with `-dirty` where files were changed; None outside a git checkout."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
