"""Atomic checkpoint writing: a checkpoint file is either complete or not there."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from spinpot.core.files import named, sync, write_atomically


class WholeCheckpoints(TorchCheckpointIO):
    """Writes each checkpoint to a temporary file in its own folder, then renames it.

    Lightning's TorchCheckpointIO uses the system's temporary folder. If that is on another disk, the last
    move
    is a copy: a kill leaves half a checkpoint, and a full temporary disk stops the run.

    before: files that are synced to disk before each checkpoint, because a resumed run relies on their
    contents.
    """

    def __init__(self, before: Sequence[Path] = ()) -> None:
        self.before = before

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint file; create its folder if needed."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        for file in filter(Path.exists, self.before):
            with named(file):
                sync(file)
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_atomically(target, buffer.getvalue())
