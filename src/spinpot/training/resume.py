"""Resumes a run from its checkpoint, and never overwrites another run."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytorch_lightning.utilities import rank_zero_only

from spinpot.config.rerun import NO_LONGER_NEEDED
from spinpot.core.console import print_line
from spinpot.core.differences import differences
from spinpot.core.errors import InputError
from spinpot.core.files import read_object
from spinpot.models.checkpoint import ENTRY, LAST, SCORE, potential_from, read_checkpoint
from spinpot.models.spec import Spec
from spinpot.report.tables import print_changes

IRRELEVANT = (
    "resume",
    "init_from",
    "init_from_bias",
    "paths",
    "logger",
    "report",
    "optimized_metric",
    *NO_LONGER_NEEDED,
    "trainer.cuda_graph",
    "trainer.enable_progress_bar",
)
"""Config sections and settings that may change on resume; they do not affect the training."""

ADAM = {"torch.optim.Adam", "spinpot.training.optimizers.Adam"}
"""Two names of the same optimizer: older runs name torch's, newer runs name spinpot's."""
ALIKE = dict.fromkeys((*ADAM, "torch.optim.AdamW"), "spinpot.training.optimizers.Adam")
"""Optimizers that can load each other's state."""

OF_RUNS = ("config.yaml", "checkpoints")
"""A run folder has at least one of these."""
RUN_FILES = ("config.yaml", "metrics.csv", "summary.json", "report.html", "checkpoints", "wandb_run.json")


@dataclass(frozen=True)
class Resumed:
    """A checkpoint to resume: its file, step, model, config, data fingerprints and score version."""

    path: Path
    step: int
    spec: Spec
    config: dict[str, Any]
    fingerprints: dict[str, str] = field(default_factory=dict)
    score: int = SCORE


def find_checkpoint(resume: str | None, run_dir: Path) -> Resumed | None:
    """The checkpoint that `resume=` selects; None starts a new run.

    `auto` selects the last checkpoint of the run folder, or a new run if there is none. A path names a
    checkpoint or a run folder. Raises InputError if the file cannot be used, or if the run folder already
    holds another run.
    """
    last = run_dir / LAST
    if resume is None:
        _refuse_used(run_dir)
        return None
    if resume == "auto":
        if last.exists():
            return _read(last)
        _refuse_other_folders(run_dir)
        return None
    path = Path(resume)
    resumed = _read(path / LAST if path.is_dir() else path)
    if run_dir.resolve() not in resumed.path.parents:
        _refuse_used(run_dir)
    return resumed


def summary_of_finished(resumed: Resumed, run_dir: Path, config: dict[str, Any]) -> dict[str, Any] | None:
    """The summary of a run that is finished with this same config; print so. None if steps are left."""
    written = read_object(run_dir / "summary.json")
    if written.get("steps") != resumed.step or differences(resumed.config, config, without(IRRELEVANT)):
        return None
    print_line(
        f"Nothing to do: the run in {run_dir} finished at step {resumed.step}. To train longer, raise "
        "trainer.max_steps, or trainer.max_time if that ended it."
    )
    return written


def check_not_beyond(resumed: Resumed, total_steps: int) -> None:
    """Raise InputError if the checkpoint has more steps than the run shall have."""
    if resumed.step > total_steps:
        raise _no_step_left(resumed, total_steps)


def check_steps_left(resumed: Resumed, run_dir: Path, total_steps: int) -> None:
    """Raise InputError if no step is left to train, unless the final evaluation of this run is missing."""
    same_run = run_dir.resolve() in resumed.path.parents
    steps = read_object(run_dir / "summary.json").get("steps")
    if resumed.step >= total_steps and not (same_run and steps != resumed.step):
        raise _no_step_left(resumed, total_steps)


def _no_step_left(resumed: Resumed, total_steps: int) -> InputError:
    return InputError(
        f"{resumed.path} is from step {resumed.step}, and trainer.max_steps={total_steps}: no step is left "
        "to train. Raise trainer.max_steps."
    )


def check_resumed(resumed: Resumed, spec: Spec, config: dict[str, Any], fingerprints: dict[str, str]) -> None:
    """Print where the run resumes and what changed. Raises InputError for another model or optimizer."""
    changes = [
        *differences(resumed.spec.as_dict(), spec.as_dict(), without(spec.changeable)),
        *differences(_state_of(resumed.config), _state_of(config), without(())),
    ]
    if changes:
        listed = "; ".join(f"{key}: {was!r} in the checkpoint, {now!r} now" for key, was, now in changes)
        raise InputError(
            f"{resumed.path} holds another model or optimizer ({listed}). A resumed run must keep both: undo "
            "the change, or start a new run."
        )
    settings = differences(resumed.config, config, without(IRRELEVANT))
    data = differences(resumed.fingerprints, fingerprints) if resumed.fingerprints else []
    print_line(f"Resuming from step {resumed.step} of {resumed.path}.")
    print_changes(settings, data)
    if resumed.score != SCORE:
        print_line(
            f"look: {resumed.path.name} was written by a version that defined val/score differently "
            "(docs/score.md), so best.ckpt may not be the best. For a choice by the new score, start a run "
            "in another folder with init_from."
        )


def _state_of(config: dict[str, Any]) -> dict[str, str]:
    """The settings that determine the structure of the optimizer state."""
    optimizer = config["optimizer"]["_target_"]
    learned = config["loss"].get("label_scale_fm") == "learned"
    return {
        "optimizer._target_": ALIKE.get(optimizer, optimizer),
        "loss.label_scale_fm": "learned" if learned else "not learned",
    }


def follow_moved_folder(callbacks: dict[str, dict[str, Any]], folder: Path) -> None:
    """Update the paths in the state of a ModelCheckpoint after the run folder was moved.

    Without this, Lightning forgets the best score of a moved run, and a worse model could replace the best.
    Nothing changes if the best checkpoint is missing from the new folder.
    """
    for state in callbacks.values():
        best = Path(state.get("best_model_path") or "/")
        if not best.name or not (folder / best.name).exists():
            continue
        for key in ("best_model_path", "last_model_path", "kth_best_model_path"):
            if state[key]:
                state[key] = str(folder / Path(state[key]).name)
        state["best_k_models"] = {
            str(folder / Path(path).name): value for path, value in state["best_k_models"].items()
        }
        state["dirpath"] = str(folder)


def without(ignored: Collection[str]) -> Callable[[str, Any, Any], bool]:
    """Ignore differences at and below some dotted keys, and between the names of Adam."""
    return lambda key, then, now: (
        key in ignored or (isinstance(then, str) and isinstance(now, str) and {then, now} == ADAM)
    )


def _refuse_used(run_dir: Path) -> None:
    """Raise InputError if a new run would overwrite files of another."""
    # Only on rank 0: the other ranks may see the config that it has written.
    if rank_zero_only.rank != 0:  # type: ignore[attr-defined]
        return
    if there := [name for name in RUN_FILES if (run_dir / name).exists()]:
        _refuse_other_folders(run_dir)
        raise InputError(
            f"{run_dir} holds a run already ({', '.join(there)}). Resume it with resume=auto (without a "
            "checkpoint this starts a new run), or choose another folder with hydra.run.dir=DIR. Nothing was "
            "changed."
        )


def _refuse_other_folders(run_dir: Path) -> None:
    """Raise InputError for a folder with files of a run's names that other commands wrote."""
    if rank_zero_only.rank != 0:  # type: ignore[attr-defined]
        return
    there = [name for name in RUN_FILES if (run_dir / name).exists()]
    if there and not set(there) & set(OF_RUNS):
        raise InputError(
            f"{run_dir} holds {', '.join(there)} of another command, which a run would overwrite. Choose "
            "another folder with hydra.run.dir=DIR. Nothing was changed."
        )


def _read(path: Path) -> Resumed:
    contents = read_checkpoint(path)
    spec = potential_from(contents, path).spec  # raises InputError if the weights are damaged
    if "optimizer_states" not in contents:
        raise InputError(
            f"{path} holds no optimizer state, so training cannot resume from it. Start a new run from its "
            f"model with init_from={path}."
        )
    entry = contents[ENTRY]
    return Resumed(
        path.resolve(),
        int(contents["global_step"]),
        spec,
        entry["config"],
        entry.get("fingerprints", {}),
        entry.get("score", 1),
    )
