"""Results of an offline wandb run, read with wandb's record format.

wandb has no reader in Python any more, but the file is a LevelDB log of its protobuf records.
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import wandb
from wandb.proto.wandb_internal_pb2 import Record

HEADER, BLOCK = 7, 32768
FULL, LAST = 1, 4


class Written:
    """One part of a run: `wandb/offline-run-…` of a run folder."""

    def __init__(self, part: Path) -> None:
        self.part = part
        (file,) = part.glob("run-*.wandb")
        self.records = list(records(file.read_bytes()))
        self.run = self._only("run")[0]
        self.config = {item.key: json.loads(item.value_json) for item in self.run.config.update}
        self.history = [_values(record.item) for record in self._only("history")]
        self.metrics = {metric.name or metric.glob_name: metric for metric in self._only("metric")}
        self.artifacts = self._only("artifact")
        self.exit_code = [record.exit_code for record in self._only("exit")]
        self.summary: dict[str, Any] = {}
        for record in self._only("summary"):
            self.summary |= _values(record.update)

    def logged(self, key: str) -> dict[int, Any]:
        """step → value, of every row that has the key."""
        return {row["step"]: row[key] for row in self.history if key in row}

    @property
    def names(self) -> set[str]:
        """Of everything that was logged, except wandb's own."""
        return {key for row in self.history for key in row if not key.startswith("_")}

    def file(self, entry: dict[str, Any]) -> Path:
        """Where the picture or table of a history entry lies."""
        return self.part / "files" / entry["path"]

    def _only(self, kind: str) -> list[Any]:
        return [getattr(record, kind) for record in self.records if record.WhichOneof("record_type") == kind]


def parts(run_folder: Path) -> list[Written]:
    """All parts of a run, in the order they were made."""
    wandb.teardown()  # of runs in this process: they are on disk when their service has ended
    return [Written(part) for part in sorted(run_folder.glob("wandb/offline-run-*"), key=_started)]


def records(data: bytes) -> Iterator[Record]:
    """The records of a .wandb file."""
    assert data[:4] == b":W&B"
    position, pieces = HEADER, b""
    while position + HEADER <= len(data):
        left = BLOCK - position % BLOCK
        if left < HEADER:
            position += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, position)
        position += HEADER
        pieces += data[position : position + length]
        position += length
        if kind in (FULL, LAST):
            yield Record.FromString(pieces)
            pieces = b""


def _values(items: Any) -> dict[str, Any]:
    """Values by key; what lies deeper, as pictures do, in a dict."""
    found: dict[str, Any] = {}
    for item in items:
        path = list(item.nested_key) or [item.key]
        target = found
        for name in path[:-1]:
            target = target.setdefault(name, {})
        target[path[-1]] = json.loads(item.value_json)
    return found


def _started(part: Path) -> float:
    return (part / "logs" / "debug.log").stat().st_ctime
