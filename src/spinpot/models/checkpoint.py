"""Checkpoint files: spinpot's entry beside Lightning's. Reading a file never runs code from it."""

import io
import pickle
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch

from spinpot.core.errors import InputError
from spinpot.core.files import DAMAGED, check_whole, refuse_placeholder, write_atomically
from spinpot.models.model_file import MODEL_FILE, read_model_file
from spinpot.models.potential import Potential
from spinpot.models.registry import build_potential, spec_of
from spinpot.models.training_facts import TrainingFacts
from spinpot.models.upgrades import ENTRY, FORMAT, upgrade

__all__ = ["ENTRY", "FORMAT"]

OLDEST = 5
"""The oldest format that can be read."""
HEISENBERG = "heisenberg"
"""Key of the HeisenbergFit, a baseline of the run's errors, if the run has one."""
SCORE = 2
"""Version of val/score. Raise it whenever its definition changes; scores of two versions are not compared."""

BEST, LAST = (Path("checkpoints") / name for name in ("best.ckpt", "last.ckpt"))
"""The checkpoints in a run folder."""


def checkpoint_entry(
    potential: Potential, config: dict[str, Any], fingerprints: dict[str, str]
) -> dict[str, Any]:
    """The entry of a checkpoint beside the weights: plain data only, so that it loads with weights_only.

    fingerprints: {name: fingerprint} of the data sets of the run.
    """
    return {
        ENTRY: {
            "format": FORMAT,
            "model": potential.spec.as_dict(),
            "version": potential.version,
            "state": potential.state(),
            "config": config,
            "fingerprints": fingerprints,
            "score": SCORE,
            **({"training_facts": asdict(potential.facts)} if potential.facts else {}),
        }
    }


def save_potential(path: Path, potential: Potential, deepmd: dict[str, Any] | None = None) -> None:
    """Write a checkpoint of a potential alone: it can be evaluated, exported and used by init_from, but not
    resumed.

    deepmd: contents of deepmd-kit's file beside the weights, plain data and tensors.
    """
    prefix = "potential."
    entry = checkpoint_entry(potential, {}, {})
    if deepmd:
        entry[ENTRY]["deepmd"] = deepmd
    weights = {prefix + name: value for name, value in potential.state_dict().items()}
    buffer = io.BytesIO()
    torch.save({"state_dict": weights, "global_step": 0, **entry}, buffer)
    write_atomically(path, buffer.getvalue())


def checkpoint_file(path: str | Path) -> Path:
    """The path if it is a file; in a run folder, the best checkpoint, or the last if there is no best one."""
    path = Path(path)
    if not path.is_dir():
        return path
    best, last = path / BEST, path / LAST
    return last if last.exists() and not best.exists() else best


def existing_file(path: str | Path) -> Path:
    """As checkpoint_file. Raises InputError if there is no such file."""
    path, file = Path(path), checkpoint_file(path)
    if path.is_dir() and not file.is_file():
        raise InputError(f"{path} holds no checkpoint: it has no {BEST} and no {LAST}.")
    if not file.is_file():
        raise InputError(
            f"{path}: no such file or folder. Correct the path. Checkpoints of a run are in RUN/checkpoints/."
        )
    return file


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The contents of a checkpoint, of a run folder's best checkpoint, or of a model file.

    Raises InputError for a file that is missing, damaged or not spinpot's.
    """
    path = existing_file(path)
    refuse_placeholder(path)
    contents = read_model_file(path) if path.suffix == MODEL_FILE else _read_checkpoint(path)
    upgrade(contents, path)
    return contents


def _read_checkpoint(path: Path) -> dict[str, Any]:
    contents = read_archive(path, "checkpoint of spinpot", "Use another, e.g. best.ckpt.")
    entry = contents.get(ENTRY) if isinstance(contents, dict) else None
    if not isinstance(entry, dict):
        raise InputError(f"{path}: not a spinpot checkpoint (it has no {ENTRY!r} entry).")
    if entry.get("format") not in range(OLDEST, FORMAT + 1):
        raise InputError(
            f"{path}: checkpoint format {entry.get('format')}; this version of spinpot reads the formats "
            f"{OLDEST} to {FORMAT}. Use the version that wrote it, or train again."
        )
    if not isinstance(entry.get("model"), dict) or not isinstance(contents.get("state_dict"), dict):
        raise InputError(f"{path}: damaged: it lacks the model or its weights. Use another, e.g. best.ckpt.")
    return cast(dict[str, Any], contents)


def read_archive(path: Path, expected: str, otherwise: str) -> Any:
    """Tensors and plain data that torch.save wrote; no code in the file is run.

    expected: the kind of file, for messages. otherwise: advice for a damaged file. Raises InputError for a
    file that is damaged or holds anything else.
    """
    try:
        check_whole(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path}: this file holds more than tensors and plain data; reading it could run code, which "
            f"spinpot never does. Expected a {expected}."
        ) from error
    except DAMAGED as error:
        raise InputError(f"{path}: not a readable checkpoint, maybe truncated. {otherwise}") from error


def potential_from(contents: dict[str, Any], path: str | Path) -> Potential:
    """Build the potential of a checkpoint, in float64 and in evaluation mode. Raises InputError."""
    prefix = "potential."
    weights = {
        name.removeprefix(prefix): value
        for name, value in contents["state_dict"].items()
        if name.startswith(prefix)
    }
    potential = build_potential(spec_of(contents[ENTRY]["model"]))
    try:
        potential.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(
            f"{path}: its weights do not fit the model it describes; the file is damaged."
        ) from error
    potential.load_state(contents[ENTRY]["state"])
    if facts := contents[ENTRY].get("training_facts"):
        potential.facts = TrainingFacts.stored(facts)
    return potential.eval()
