"""The set Fe_gpaw, whose frames come with spinpot: bcc Fe by constrained DFT (docs/fe-gpaw.md)."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from spinpot.core.errors import InputError
from spinpot.core.files import one_at_a_time, reason

SHIPPED = Path(__file__).with_name("Fe_gpaw")
"""Holds `train`, `validation` and `test`, each with one folder per system, and provenance.json."""


def copy_fe_gpaw(folder: Path) -> None:
    """Copy the set to `folder` unless it is there already. An interrupted copy leaves nothing behind.

    Raises InputError if the folder holds something else, such as the set of another version, or cannot be
    written.
    """
    folder = Path(folder).resolve()
    try:
        if _is_there(folder):
            return
        with one_at_a_time(folder):
            if not _is_there(folder):  # another process may have copied it in the meantime
                with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
                    draft = Path(temporary) / folder.name
                    shutil.copytree(SHIPPED, draft)
                    draft.replace(folder)
    except OSError as error:
        raise InputError(
            f"cannot copy the data set Fe_gpaw to {folder}: {reason(error)}. Make room there, or give "
            "another folder as paths.data_dir or by setting SPINPOT_DATA."
        ) from error


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
