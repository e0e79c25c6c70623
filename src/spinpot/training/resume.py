"""Going on where a run stopped, and never over what another run left."""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytorch_lightning.utilities import rank_zero_only

from spinpot.config.rerun import NO_LONGER_NEEDED
from spinpot.core.console import print_line
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
"""Config sections and settings that may differ without changing what is trained."""

ADAM = {"torch.optim.Adam", "spinpot.training.optimizers.Adam"}
"""The same optimizer, as runs from before there was one of ours and as those since then call it."""
ALIKE = dict.fromkeys((*ADAM, "torch.optim.AdamW"), "spinpot.training.optimizers.Adam")
"""Optimizers that keep another's state."""

RUN_FILES = ("config.yaml", "metrics.csv", "summary.json", "report.html", "checkpoints", "wandb_run.json")


@dataclass(frozen=True)
class Resumed:
    """A checkpoint to resume: its file, step, model, config and its data's fingerprints."""

    path: Path
    step: int
    spec: Spec
    config: dict[str, Any]
    fingerprints: dict[str, str] = field(default_factory=dict)
    score: int = SCORE


def find_checkpoint(resume: str | None, run_dir: Path) -> Resumed | None:
    """What `resume=` means for a run folder; None is a fresh start.

    `auto` takes the run folder's own last checkpoint and starts afresh where there is none; a path names a
    checkpoint or a run folder. Raises InputError for a file that cannot be used, and for a run folder
    that holds another run already.
    """
    last = run_dir / LAST
    if resume is None:
        _refuse_used(run_dir)
        return None
    if resume == "auto":
        return _read(last) if last.exists() else None
    path = Path(resume)
    resumed = _read(path / LAST if path.is_dir() else path)
    if run_dir.resolve() not in resumed.path.parents:
        _refuse_used(run_dir)
    return resumed


def summary_of_finished(resumed: Resumed, run_dir: Path, config: dict[str, Any]) -> dict[str, Any] | None:
    """The summary of a run that has ended with this very config, said in words; None if something is left."""
    written = read_object(run_dir / "summary.json")
    if written.get("steps") != resumed.step or differences(resumed.config, config, IRRELEVANT):
        return None
    print_line(
        f"Nothing to do: {run_dir} ended at step {resumed.step}. To train on, raise "
        "trainer.max_steps, or trainer.max_time if that ended it."
    )
    return written


def check_steps_left(resumed: Resumed, run_dir: Path, total_steps: int) -> None:
    """Raise InputError if nothing is left to train, unless the last evaluation of this run is missing."""
    same_run = run_dir.resolve() in resumed.path.parents
    steps = read_object(run_dir / "summary.json").get("steps")
    if resumed.step >= total_steps and not (same_run and steps != resumed.step):
        raise InputError(
            f"{resumed.path} has made {resumed.step} steps already, and trainer.max_steps={total_steps}: no "
            "step is left to train. Raise trainer.max_steps."
        )


def check_resumed(resumed: Resumed, spec: Spec, config: dict[str, Any], fingerprints: dict[str, str]) -> None:
    """Refuse a checkpoint of another model or optimizer; print which settings and data changed."""
    changes = [
        *differences(resumed.spec.as_dict(), spec.as_dict(), spec.changeable),
        *differences(_state_of(resumed.config), _state_of(config)),
    ]
    if changes:
        listed = "; ".join(f"{key}: {was!r} in the checkpoint, {now!r} now" for key, was, now in changes)
        raise InputError(
            f"{resumed.path} holds another model or optimizer ({listed}). Resuming needs the same: undo the "
            "change, or start a new run."
        )
    settings = differences(resumed.config, config, IRRELEVANT)
    data = differences(resumed.fingerprints, fingerprints) if resumed.fingerprints else []
    print_changes(settings, data)
    if resumed.score != SCORE:
        print_line(
            f"look: {resumed.path.name} is of a version whose val/score meant something else "
            "(docs/score.md), so best.ckpt may not be the best. To choose anew, begin in another folder with "
            "init_from."
        )


def _state_of(config: dict[str, Any]) -> dict[str, str]:
    """The settings that decide what an optimizer's state is of."""
    optimizer = config["optimizer"]["_target_"]
    learned = config["loss"].get("label_scale_fm") == "learned"
    return {
        "optimizer._target_": ALIKE.get(optimizer, optimizer),
        "loss.label_scale_fm": "learned" if learned else "not learned",
    }


def follow_moved_folder(callbacks: dict[str, dict[str, Any]], folder: Path) -> None:
    """Let the state of a ModelCheckpoint speak of the folder its files are in now.

    Lightning forgets the best score of a run whose folder was moved, and a worse model would take the place
    of the best. Nothing changes where the best checkpoint did not come along.
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


def differences(
    then: Any, now: Any, ignored: Collection[str] = (), key: str = ""
) -> list[tuple[str, Any, Any]]:
    """(dotted key, then, now) wherever two nested dicts differ, but for some keys and what is below them."""
    if key in ignored:
        return []
    if isinstance(then, dict) and isinstance(now, dict):
        places = {name: f"{key}.{name}" if key else name for name in sorted(then.keys() | now.keys())}
        return [
            change
            for name, place in places.items()
            for change in differences(then.get(name), now.get(name), ignored, place)
        ]
    same = then == now or (isinstance(then, str) and isinstance(now, str) and {then, now} == ADAM)
    return [] if same else [(key, then, now)]


def _refuse_used(run_dir: Path) -> None:
    """Raise InputError if a fresh start would write over what is there."""
    # The other processes of a run start when the first has written its config.
    if rank_zero_only.rank != 0:  # type: ignore[attr-defined]
        return
    if there := [name for name in RUN_FILES if (run_dir / name).exists()]:
        raise InputError(
            f"{run_dir} holds a run already ({', '.join(there)}). Go on with it by resume=auto, which begins "
            "anew where there is no checkpoint, or choose another folder by hydra.run.dir=DIR; nothing was "
            "changed."
        )


def _read(path: Path) -> Resumed:
    contents = read_checkpoint(path)
    spec = potential_from(contents, path).spec  # its weights are whole, or this says so
    if "optimizer_states" not in contents:
        raise InputError(
            f"{path} holds no optimizer state, so training cannot go on from it. A new run begins with its "
            f"model by init_from={path}."
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
