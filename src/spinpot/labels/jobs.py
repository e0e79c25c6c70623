"""Jobs: each configuration has a folder; the process that claims it computes its label once.

A process claims a job with a file lock, which the system releases when the process ends for any reason.
"""

from __future__ import annotations

import json
import shutil
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from spinpot.core.console import counted, print_line
from spinpot.core.errors import InputError
from spinpot.core.files import no_room, read_object, write_atomically
from spinpot.labels.checks import check_label
from spinpot.labels.configuration import Configuration
from spinpot.labels.label import FrameError, Label, Labeller

LABEL, FAILED, LOCK, FILES = "label.json", "failed.json", ".lock", "run"
SAID = 3  # number of failures printed when they happen; all are listed at the end


class Job:
    """A configuration and the folder of its label; the subfolder `run/` has the files of the code."""

    def __init__(self, configuration: Configuration, folder: Path) -> None:
        self.configuration = configuration
        self.folder = folder

    @property
    def done(self) -> bool:
        """Whether there is a label."""
        return (self.folder / LABEL).exists()

    @property
    def failed(self) -> bool:
        """Whether the calculation failed and there is no label."""
        return not self.done and (self.folder / FAILED).exists()

    def waits(self, retry_before: float | None) -> bool:
        """Whether the job must be run. retry_before: failures before this time are tried again."""
        if self.done:
            return False
        if not self.failed:
            return True
        return retry_before is not None and (self.folder / FAILED).stat().st_mtime < retry_before

    def read(self) -> tuple[Label, float]:
        """The label and its time in seconds. Raises InputError if damaged or of another configuration."""
        contents = read_object(self.folder / LABEL)
        self._check_same(contents, LABEL)
        return Label.of_plain(contents["label"]), contents["seconds"]

    def reason(self) -> str:
        """Why it failed."""
        return str(read_object(self.folder / FAILED).get("reason", "unknown"))

    def _check_same(self, contents: dict[str, Any], name: str) -> None:
        if not {"configuration", "label", "seconds"} <= contents.keys():
            raise InputError(f"{self.folder / name} is damaged. Remove it to label the frame again.")
        if contents["configuration"] != self.configuration.as_plain():
            raise InputError(
                f"{self.folder / name} is the label of another configuration than this recipe makes. Give "
                "another folder with output=DIR, or the recipe, structure and seed of this folder."
            )

    @contextmanager
    def claimed(self) -> Iterator[bool]:
        """Try to lock the job; yields whether this process has the lock."""
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            held = FileLock(self.folder / LOCK, blocking=False).acquire()
        except Timeout:
            yield False
            return
        with held:
            yield True

    def run(self, labeller: Labeller) -> str | None:
        """Compute and check the label; store it, or the reason of a failure. Returns the reason or None."""
        begun, label, why = time.monotonic(), None, None
        try:
            label = labeller.label(self.configuration, self.fresh_files())
            check_label(self.configuration, label, labeller.isotropic)
        except FrameError as error:
            why = str(error)
        except InputError:
            raise
        except Exception as error:  # any error of the code; the next frame may succeed
            if no_room(error):
                raise
            why = f"{type(error).__name__}: {error}"
            (self.folder / FILES / "traceback.txt").write_text(traceback.format_exc(), encoding="utf-8")
        self.keep(label, why, time.monotonic() - begun)
        return why

    def fresh_files(self) -> Path:
        """Create an empty folder for the files of the code.

        The folder of an earlier attempt is renamed first, because a process still running there would write
        to the new one.
        """
        files, old = self.folder / FILES, self.folder / f"{FILES}.old"
        shutil.rmtree(old, ignore_errors=True)
        if files.exists():
            files.rename(old)
            shutil.rmtree(old, ignore_errors=True)
        files.mkdir()
        return files

    def keep(self, label: Label | None, why: str | None, seconds: float) -> None:
        """Write label.json, or failed.json with the reason."""
        contents: dict[str, Any] = {
            "configuration": self.configuration.as_plain(),
            "label": None if label is None else label.as_plain(),
            "seconds": round(seconds, 3),
        }
        if why is not None:
            contents["reason"] = why
        write_atomically(self.folder / (LABEL if why is None else FAILED), json.dumps(contents) + "\n")
        if why is None:
            (self.folder / FAILED).unlink(missing_ok=True)


def work(jobs: Sequence[Job], labeller: Labeller, retry_failed: bool, arrived: Callable[[Job], None]) -> None:
    """Run all waiting jobs that no other process has claimed; call `arrived` after each."""
    retry_before = time.time() if retry_failed else None
    waiting = [job for job in jobs if job.waits(retry_before)]
    said = 0
    for job in counted(waiting, "Labelling", len(waiting)):
        with job.claimed() as mine:
            if not mine or not job.waits(retry_before):
                continue
            why = job.run(labeller)
        if why is not None and said < SAID:
            said += 1
            print_line(f"{job.configuration.name} failed: {why}.")
        arrived(job)
