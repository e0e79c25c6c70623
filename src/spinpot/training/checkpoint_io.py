"""How Lightning writes checkpoints here: whole or not at all, wherever temporary files are."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from spinpot.core.files import named, sync, write_atomically


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside its place, then puts it there.

    Lightning's own goes through the system's temporary folder: on another disk the last move is a copy, which
    a kill cuts short, and a full one stops the run.

    before: files that are brought to the disk before a checkpoint is, since a run that resumes from it takes
    their contents for written.
    """

    def __init__(self, before: Sequence[Path] = ()) -> None:
        self.before = before

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint file, its folder with it."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        for file in filter(Path.exists, self.before):
            with named(file):
                sync(file)
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_atomically(target, buffer.getvalue())
