"""Going on where a run stopped, and never over what another run left."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spinpot.checkpoint import ENTRY, read_checkpoint
from spinpot.errors import InputError
from spinpot.model.settings import ModelSpec

IRRELEVANT = ("resume", "paths")
"""Config sections that may differ without changing what is trained."""


@dataclass(frozen=True)
class Resumed:
    """A checkpoint to go on from: its file, its step, its model and its config."""

    path: Path
    step: int
    model: dict[str, Any]
    config: dict[str, Any]


def find_checkpoint(resume: str | None, run_dir: Path) -> Resumed | None:
    """What `resume=` means for a run folder; None is a fresh start.

    `auto` takes the run folder's own last checkpoint and starts afresh where there is none; a path names a
    checkpoint or a run folder. Raises InputError for a file that cannot be used, and, without `resume`, for a
    folder that holds a run already.
    """
    last = run_dir / "checkpoints" / "last.ckpt"
    if resume is None:
        if last.exists():
            raise InputError(
                f"{run_dir} holds a run already. Go on with it by resume=auto, or choose another folder by "
                "hydra.run.dir=DIR; nothing was overwritten."
            )
        return None
    if resume == "auto":
        return _read(last) if last.exists() else None
    path = Path(resume)
    return _read(path / "checkpoints" / "last.ckpt" if path.is_dir() else path)


def check_same_model(resumed: Resumed, spec: ModelSpec) -> None:
    """Raise InputError if the model of the config is not the checkpoint's."""
    changes = differences(resumed.model, spec.as_dict())
    if changes:
        listed = "; ".join(f"{key}: {was!r} in the checkpoint, {now!r} now" for key, was, now in changes)
        raise InputError(
            f"{resumed.path} holds another model ({listed}). Resuming needs the same model: undo the change, "
            "or start a new run."
        )


def config_differences(resumed: Resumed, config: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """(key, then, now) of every setting that changed since the checkpoint."""
    return [
        change for change in differences(resumed.config, config) if change[0].split(".")[0] not in IRRELEVANT
    ]


def differences(then: Any, now: Any, key: str = "") -> list[tuple[str, Any, Any]]:
    """(dotted key, then, now) wherever two nested dicts differ."""
    if isinstance(then, dict) and isinstance(now, dict):
        keys = sorted(then.keys() | now.keys())
        return [
            change
            for name in keys
            for change in differences(then.get(name), now.get(name), f"{key}.{name}" if key else name)
        ]
    return [] if then == now else [(key, then, now)]


def _read(path: Path) -> Resumed:
    contents = read_checkpoint(path)
    if "optimizer_states" not in contents:
        raise InputError(f"{path} holds no optimizer state, so training cannot go on from it.")
    entry = contents[ENTRY]
    return Resumed(path.resolve(), int(contents["global_step"]), entry["model"], entry["config"])
