"""Stores the settings of a loop in its folder, and refuses to resume it with other settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spinpot.core.differences import differences, in_words
from spinpot.core.errors import InputError
from spinpot.core.files import read_object, write_atomically
from spinpot.core.notes import shortened
from spinpot.labels.folder import SETTINGS, keeps_frames

FREE = ("uncertain_share", "rounds", "labels", "hours")
"""Settings of `learn` that may change, because they only decide when it ends."""
LAMMPS = "exploration.lammps"
"""Its command may change, e.g. on another machine, but not whether there is one."""


def keep_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Write the settings, or compare them with the stored ones. Raises InputError if they differ."""
    file, now = folder / SETTINGS, json.loads(json.dumps(settings))
    if not file.exists():
        if any(path.name[0] != "." for path in folder.iterdir()):
            raise InputError(f"output={folder}: holds other files. Give a new or an empty folder.")
    else:
        then = _without_free(read_object(file))
        listed = in_words(differences(then, _without_free(now), _may_change))
        if listed:
            raise InputError(
                f"output={folder}: was started with other settings ({shortened(listed)}). Give another "
                f"folder, or the same settings; only learn.{', learn.'.join(FREE)} and the command of "
                f"{LAMMPS} may change. Nothing was changed."
            )
    write_atomically(file, json.dumps(now, indent=2) + "\n")


def _may_change(key: str, then: Any, now: Any) -> bool:
    return keeps_frames(key, then, now) or (key == LAMMPS and None not in (then, now))


def _without_free(settings: Mapping[str, Any]) -> dict[str, Any]:
    learn = {name: value for name, value in settings.get("learn", {}).items() if name not in FREE}
    return {**settings, "learn": learn}
