"""Versions, commit and device that produced a run."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import torch

from spinpot import __version__

PACKAGES = ("torch", "pytorch-lightning", "hydra-core", "dpdata", "vesin", "numpy")


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that affect a run's numbers."""
    return {
        "python": platform.python_version(),
        "spinpot": __version__,
        **{package: version(package) for package in PACKAGES},
    }


def git_commit(package: Path = Path(__file__).parents[1]) -> str | None:
    """The commit of spinpot's own checkout, with `-dirty` if files were changed.

    None if the package is installed (also within another repository), or if git is missing; `versions` then
    identifies it.
    """
    top = _git(package, "rev-parse", "--show-toplevel")
    own = top is not None and Path(top).resolve() / "src" / "spinpot" == package.resolve()
    if not own or _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    return _git(package, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _git(folder: Path, *arguments: str) -> str | None:
    """Output of git in a folder, ignoring a repository named by the environment; None if git fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(folder), *arguments]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    except (OSError, subprocess.CalledProcessError):
        return None
    return ended.stdout.strip()


def device_name(device: torch.device, processes: int) -> str:
    """`NVIDIA H200`, `CPU, 2 threads`, `CPU, 1 thread, 4 processes`."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        threads = torch.get_num_threads()
        name = f"{device.type.upper()}, {threads} thread{'s' * (threads > 1)}"
    return f"{name}, {processes} processes" if processes > 1 else name
