"""The set Fe_gpaw, whose frames come with spinpot: bcc Fe by constrained DFT (docs/fe-gpaw.md)."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from spinpot.core.errors import InputError
from spinpot.core.files import make_once

SHIPPED = Path(__file__).with_name("Fe_gpaw")
"""Holds `train`, `validation`, `test`, and `pairs` for the audit; in each, one folder per system."""


def copy_fe_gpaw(folder: Path) -> None:
    """Copy the set to `folder` unless it is there already. An interrupted copy leaves nothing behind.

    Raises InputError if the folder holds something else, such as the set of another version, or cannot be
    written.
    """
    make_once(folder, _is_there, partial(shutil.copytree, SHIPPED), "Fe_gpaw")


def _is_there(folder: Path) -> bool:
    """Whether the folder holds the set. Raises InputError if it holds anything else."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    if folder.is_dir() and _contents(folder) == _contents(SHIPPED):
        return True
    raise InputError(
        f"{folder}: holds other frames than the set Fe_gpaw of this version. Remove the folder, and the set "
        "is copied again; or give another paths.data_dir."
    )


def _contents(folder: Path) -> dict[Path, bytes]:
    """All files: {path within the folder: contents}."""
    return {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
