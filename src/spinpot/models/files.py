"""Reads models of any kind: checkpoints, run folders, model files, and files of other programs."""

from collections.abc import Callable
from pathlib import Path

from spinpot.core.errors import InputError
from spinpot.models.checkpoint import ENTRY, existing_file, potential_from, read_checkpoint
from spinpot.models.deepspin.deepmd.input import is_input, write_experiment
from spinpot.models.deepspin.deepmd.potentials import is_deepmd, read_deepmd
from spinpot.models.model_file import MODEL_FILE
from spinpot.models.potential import ModelFile

CHECKPOINT = ".ckpt"


def read_model(path: Path) -> ModelFile:
    """The model of a checkpoint, a run folder, a model file or a file of deepmd-kit. Raises InputError."""
    path = existing_file(path)
    if is_deepmd(path):
        return read_deepmd(path)
    if path.suffix not in (CHECKPOINT, MODEL_FILE):
        raise InputError(
            f"{path}: unknown suffix {path.suffix!r}. Expected a checkpoint or a model file of spinpot "
            "(.ckpt, .safetensors), a model of deepmd-kit (.dp, .yaml, .pt, .pth), or its input (.json, "
            ".yaml)."
        )
    contents = read_checkpoint(path)
    return ModelFile(potential_from(contents, path), contents[ENTRY].get("deepmd") or {})


def experiment_writer(path: Path) -> Callable[[Path, Path], None] | None:
    """The function that converts another program's input to an experiment; None for any other file."""
    return write_experiment if is_input(path) else None
