"""Which program made a run, and on what."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import torch

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


def device_name(device: torch.device, processes: int) -> str:
    """`NVIDIA H200`, `CPU, 2 threads`, `CPU, 1 thread, 4 processes`."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        threads = torch.get_num_threads()
        name = f"{device.type.upper()}, {threads} thread{'s' * (threads > 1)}"
    return f"{name}, {processes} processes" if processes > 1 else name
