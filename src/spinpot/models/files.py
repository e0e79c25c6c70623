"""Reads models of any kind: checkpoints, run folders, model files, and files of other programs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from spinpot.core.errors import InputError
from spinpot.models.checkpoint import (
    ENTRY,
    checkpoint_entry,
    existing_file,
    potential_from,
    read_checkpoint,
)
from spinpot.models.deepspin.deepmd.input import is_input, write_experiment
from spinpot.models.deepspin.deepmd.potentials import READERS, read_deepmd
from spinpot.models.model_file import MODEL_FILE
from spinpot.models.potential import ModelFile, Potential

CHECKPOINT = ".ckpt"


def read_model(path: Path) -> ModelFile:
    """The model of a checkpoint, a run folder, a model file or a file of deepmd-kit. Raises InputError."""
    path = existing_file(path)
    if path.suffix in READERS:
        return read_deepmd(path)
    if path.suffix not in (CHECKPOINT, MODEL_FILE):
        raise InputError(
            f"{path}: unknown suffix {path.suffix!r}. Expected a checkpoint or a model file of spinpot "
            "(.ckpt, .safetensors), a model of deepmd-kit (.dp, .yaml, .pt, .pth), or its input (.json, "
            ".yaml)."
        )
    contents = read_checkpoint(path)
    return ModelFile(potential_from(contents, path), contents[ENTRY].get("deepmd") or {})


def read_contents(path: Path) -> tuple[Potential, dict[str, Any]]:
    """The potential and the contents of a checkpoint, a run folder or a model file.

    The contents of a model of deepmd-kit have the same form, without a config. Raises InputError.
    """
    path = existing_file(path)
    if path.suffix in READERS:
        potential = read_deepmd(path).potential
        return potential, {"state_dict": {}, "global_step": 0, **checkpoint_entry(potential, {}, {})}
    contents = read_checkpoint(path)
    return potential_from(contents, path), contents


def experiment_writer(path: Path) -> Callable[[Path, Path], None] | None:
    """The function that converts another program's input to an experiment; None for any other file."""
    return write_experiment if is_input(path) else None
