"""Logging to Weights & Biases that never stops the training: without account or network it logs offline."""

from __future__ import annotations

import json
import os
import shutil
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from spinpot.core.console import print_line, progress_console
from spinpot.core.files import read_object, write_atomically

if TYPE_CHECKING:
    import wandb

IDENTITY = "wandb_run.json"  # in the run folder: id and name of its wandb run, for resuming

INIT_SECONDS = 30.0
FINISH_SECONDS = 300.0
"""How long to wait for the server before training continues without it. Unsent data stay in the folder."""


class WandbRun(Logger):
    """Logs to one wandb run, from the first process only; warns of the first failure and ignores the others.

    Unlike Lightning's WandbLogger, it puts the training step on every chart's x axis and raises no errors.

    folder: the run folder. identity: id and name of the wandb run to resume, both None for a new one.
    settings: project, entity, group, tags and job_type, as wandb.init takes them.
    """

    name, save_dir = "", ""  # plain attributes, where Lightning has properties

    def __init__(self, folder: Path, identity: Mapping[str, str | None], settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.name, self.save_dir = str(settings["project"]), str(folder)
        self.folder = folder
        self.identity = identity
        self.settings = settings
        self._run: wandb.Run | None = None
        self._warned = False

    @property
    def version(self) -> str | None:
        """The id of the wandb run; None until it is known."""
        return self._run.id if self._run else self.identity["id"]

    def start(self, config: Mapping[str, Any]) -> None:
        """Start or resume the wandb run. config: nested plain data."""
        self._attempt(lambda: self._start(config))

    @property
    def active(self) -> bool:
        """Whether this process logs: false on all but the first, and with WANDB_MODE=disabled."""
        return self._run is not None

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log numbers at a training step."""
        # A run is one single epoch, so its number means nothing.
        known = {name: value for name, value in metrics.items() if name != "epoch"}
        self._attempt(lambda: self._log(known, step))

    def log_made(self, make: Callable[[], dict[str, Any]], step: int) -> None:
        """Log the values of `make()`: matplotlib figures, and tables as (columns, rows)."""
        self._attempt(lambda: self._log({name: _medium(one, step) for name, one in make().items()}, step))

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Do nothing: `start` logs the whole config."""

    def end(self, summary: Mapping[str, Any], checkpoint: Path) -> None:
        """Finish the wandb run: log the summary, and the best checkpoint as an artifact."""
        if run := self._run:
            self._attempt(lambda: run.summary.update(summary_values(summary)))
            self._attempt(lambda: _log_checkpoint(run, checkpoint, summary))
        self._finish(exit_code=0)

    def finalize(self, status: str) -> None:
        """Finish a failed run. Lightning calls this after the fit; a successful run finishes in `end`."""
        if status != "success":
            self._finish(exit_code=1)

    def _start(self, config: Mapping[str, Any]) -> None:
        import wandb

        # wandb prints many lines; _announce prints the one that matters.
        mode = wandb.setup(wandb.Settings(silent=True)).settings.mode
        if mode == "disabled":
            return
        try:
            if mode == "online" and not wandb.login(prompt=False, verify=False):
                mode = "offline"
            self._run = self._init(mode, config)
        except Exception as error:
            if mode == "offline":
                raise
            _say(f"wandb cannot go online, so it logs offline: {_first_line(error)}")
            self._run = self._init("offline", config)
        self._run.define_metric("step", hidden=True)
        self._run.define_metric("*", step_metric="step")
        identity = {"id": self._run.id, "name": self._run.name}
        write_atomically(self.folder / IDENTITY, json.dumps(identity) + "\n")
        _announce(self._run, self.folder)

    def _init(self, mode: Any, config: Mapping[str, Any]) -> wandb.Run:
        import wandb

        return wandb.init(
            **{**self.settings, **self.identity},
            dir=self.folder,
            config={**config},
            allow_val_change=True,
            resume="allow",
            mode=mode,
            # Each job of a sweep in one process gets its own wandb run.
            reinit="create_new",
            settings=wandb.Settings(silent=True, init_timeout=INIT_SECONDS, finish_timeout=FINISH_SECONDS),
        )

    def _log(self, values: Mapping[str, Any], step: int | None) -> None:
        if self._run:
            self._run.log({**values, "step": step})

    def _finish(self, exit_code: int) -> None:
        run, self._run = self._run, None
        if run is None or self._attempt(lambda: run.finish(exit_code) or True):
            return
        # The wandb service has died; without teardown it would report that again at exit.
        import wandb

        with suppress(Exception, SystemExit):
            wandb.teardown()

    def _attempt(self, task: Callable[[], Any]) -> Any:
        """The result of the task; None if it fails. Only the first failure prints a warning."""
        try:
            with _files_below(self.folder / "wandb" / "local"):
                return task()
        except Exception as error:
            if not self._warned:
                _say(f"wandb failed; training continues without it: {_first_line(error)}")
            self._warned = True
            return None


def read_identity(folder: Path) -> dict[str, str | None] | None:
    """Id and name of the wandb run of a run folder; None if there is none or the file is damaged."""
    written = read_object(folder / IDENTITY)
    known = {name: written.get(name) for name in ("id", "name")}
    return known if all(isinstance(word, str) for word in known.values()) else None


def summary_values(summary: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of summary.json under their wandb names, e.g. best/val/rmse_e, without missing ones."""
    errors = {
        f"best/{part}/{name}": value
        for part in ("val", "test")
        for name, value in summary.get(part, {}).items()
    }
    whole = {name: summary[name] for name in ("steps", "seconds_per_step", "train_seconds")}
    return {name: value for name, value in {**whole, **errors}.items() if value is not None}


@contextmanager
def _files_below(folder: Path) -> Iterator[None]:
    """Let wandb keep unsent data in a folder, unless its environment variables name another place.

    Its default is the user's home, which may be read-only and does not move with the run folder.
    """
    places = {name: str(folder) for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR") if name not in os.environ}
    os.environ.update(places)
    try:
        yield
    finally:
        for name in places:
            del os.environ[name]


def _medium(value: Any, step: int) -> Any:
    import wandb

    if isinstance(value, Figure):
        return wandb.Image(value, caption=f"step {step}")
    columns, rows = value
    return wandb.Table(columns=list(columns), data=rows)


def _log_checkpoint(run: wandb.Run, checkpoint: Path, summary: Mapping[str, Any]) -> None:
    import wandb

    # An offline run is sent later; this copy stays unchanged even if the run is resumed.
    copy = Path(run.settings.sync_dir) / checkpoint.name
    shutil.copyfile(checkpoint, copy)
    metadata = {"steps": summary["steps"], "val": summary["val"]}
    artifact = wandb.Artifact(f"spinpot-{run.id}", type="model", metadata=metadata)
    artifact.add_file(str(copy), policy="immutable", skip_cache=True)
    run.log_artifact(artifact, aliases=["best"])


def _announce(run: wandb.Run, folder: Path) -> None:
    if run.offline:
        place = folder / "wandb" / Path(run.settings.sync_dir).name
        print_line(f"wandb: logging offline. Upload with: wandb sync {place}")
    else:
        print_line(f"wandb: {run.url}")


def _say(message: str) -> None:
    progress_console.print(f"Warning: {message}", soft_wrap=True, markup=False, highlight=False)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
