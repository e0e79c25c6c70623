"""Checks settings against each other: refuses contradictions, and names settings without effect.

The tables below are complete: a setting that another one overrides belongs into one of them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from spinpot.config.targets import find_target, parameters
from spinpot.config.values import shown
from spinpot.core.errors import InputError

EPOCH = "Lightning's epoch is the whole run"
CHECKPOINTS = ("best", "last")
"""File names of the checkpoints in RUN/checkpoints that the program needs."""


@dataclass(frozen=True)
class Fixed:
    """A setting that must not be changed. values: the valid ones; problem: of others, and what to do."""

    values: tuple[Any, ...]
    problem: str


@dataclass(frozen=True)
class Idle:
    """A setting without effect if another one has certain values. default: a value that is not reported."""

    key: str
    default: Any
    beside: str
    values: tuple[Any, ...]


TRAINER = {
    "max_epochs": Fixed((None, -1), f"{EPOCH}; its length is trainer.max_steps. Use max_epochs=-1."),
    "min_epochs": Fixed((None,), f"{EPOCH}; its length is trainer.max_steps. Leave it out."),
    "min_steps": Fixed(
        (None,),
        "until then SIGTERM, trainer.max_time and early stopping could not end the run. Leave it out; early "
        "stopping waits longer by callbacks.early_stopping.patience.",
    ),
    "check_val_every_n_epoch": Fixed(
        (None,), f"{EPOCH}; the interval is trainer.val_check_interval, in steps. Use null."
    ),
    "num_sanity_val_steps": Fixed(
        (0,), "the first validation is after trainer.val_check_interval steps. Use 0."
    ),
    "use_distributed_sampler": Fixed(
        (False,), "the data module distributes the frames over the processes itself. Use false."
    ),
    "fast_dev_run": Fixed((False,), "it keeps no checkpoint, so nothing could be evaluated. Use debug=fast."),
    "barebones": Fixed((False,), "it keeps no checkpoint and logs nothing. Use spinpot benchmark for times."),
    "enable_checkpointing": Fixed((None, True), "nothing would be left of the run. Leave it out."),
    "callbacks": Fixed((None,), "callbacks are the section callbacks of the config. Put them there."),
    "logger": Fixed((None,), "loggers are the section logger of the config. Put them there."),
    "default_root_dir": Fixed((None,), "the run folder is hydra.run.dir. Set that."),
}
"""Trainer settings that would leave a run without a checkpoint, or that the program sets itself."""

CALLBACKS = {
    "pytorch_lightning.callbacks.ModelCheckpoint": {
        "every_n_epochs": Fixed((None, 1), f"{EPOCH}, so that nothing would be saved. Leave it out."),
        "save_on_train_epoch_end": Fixed(
            (None, False), f"{EPOCH}, so that only its end would be saved. Leave it out."
        ),
    },
    "pytorch_lightning.callbacks.EarlyStopping": {
        "check_on_train_epoch_end": Fixed(
            (None, False), f"{EPOCH}, so that it would stop nothing. Leave it out."
        ),
    },
    "pytorch_lightning.callbacks.EMAWeightAveraging": {
        "update_starting_at_epoch": Fixed((None, 0), f"{EPOCH}. Use update_starting_at_step."),
    },
}
"""Settings of callbacks, by class; they also hold for subclasses."""

NEEDED = {
    "save_top_k": Fixed(
        (1,),
        "all would overwrite one file. Use 1; to keep more, add a callback with another filename, e.g. "
        "'{step}'.",
    ),
    "dirpath": Fixed(
        (None,), "the file must be in RUN/checkpoints. Leave it out; the run folder is hydra.run.dir."
    ),
}
"""Settings of the callbacks that write CHECKPOINTS."""

IDLE = (
    Idle("init_from_bias", "keep", "init_from", (None,)),
    Idle("scheduler.warmup_start_factor", 0.0, "scheduler.warmup_steps", (0,)),
    Idle("loss.huber_delta", 0.01, "loss.loss_func", ("mse", "mae")),
    Idle("loss.intensive_ener_virial", False, "loss.loss_func", ("mae", "huber")),
    Idle("model.exchange.n_radial", 10, "model.exchange.terms", ([],)),
    Idle("trainer.gradient_clip_algorithm", None, "trainer.gradient_clip_val", (None,)),
)

LIMITS = {
    "overfit_batches": (0, "training repeats the same batches, and validation uses as many of its own"),
    "limit_train_batches": (1.0, "training repeats the same batches"),
    "limit_val_batches": (1.0, "val/score and best.ckpt depend on this part of the validation set only"),
}
"""Trainer settings that select a part of the frames: the value for all, and the effect of a part."""


def check_conflicts(config: DictConfig) -> None:
    """Raise InputError for settings that contradict each other or leave a run without a checkpoint."""
    trainer = _plain(config.trainer)
    _check_fixed("trainer", trainer, TRAINER)
    _check_limits(trainer)
    _check_learning_rate(config)
    sections = {str(name): _plain(section) for name, section in config.callbacks.items()}
    for name, section in sections.items():
        for target, fixed in CALLBACKS.items():
            if _builds(name, section, target):
                _check_fixed(f"callbacks.{name}", section, fixed)
        _check_mode(name, section)
        _check_averaging(name, section, trainer)
    _check_savers({name: s for name, s in sections.items() if _saves(name, s)})


def remarks(config: DictConfig) -> Iterator[str]:
    """Lines on settings without effect, and on settings that select a part of the frames."""
    for idle in IDLE:
        value, other = OmegaConf.select(config, idle.key), OmegaConf.select(config, idle.beside)
        if value not in (None, idle.default) and other in idle.values:
            yield f"{idle.key}={shown(value)} has no effect with {idle.beside}={shown(other)}."
    for name, (whole, meaning) in LIMITS.items():
        value = config.trainer.get(name)
        if value is not None and not _takes_all(value, whole):
            yield f"trainer.{name}={value}: {meaning}."
    order = config.data.get("seed", config.seed)
    if order != config.seed:
        yield (
            f"data.seed={order} determines the order of the frames, "
            f"seed={config.seed} only the initial weights."
        )
    savers = [_plain(section) for name, section in config.callbacks.items() if _saves(str(name), section)]
    if not any(saver.get("filename") == "best" for saver in savers):
        yield "No callback writes checkpoints/best.ckpt: the final errors are those of last.ckpt."
    for saver in savers:
        between = saver.get("every_n_train_steps") or saver.get("train_time_interval")
        if between and saver.get("monitor") is not None:
            yield (
                f"{saver.get('filename')}.ckpt is saved between validations, but its {saver['monitor']} is "
                "that of the last validation, with other weights."
            )
    last = [saver for saver in savers if saver.get("filename") == "last"]
    if not last or any(saver.get("save_weights_only") for saver in last):
        yield "No callback writes a complete checkpoints/last.ckpt: resume=auto cannot resume the run."


def _takes_all(value: Any, whole: Any) -> bool:
    """Whether a value selects all frames. 0 equals 0.0, but 1 is one batch and 1.0 is all batches."""
    return bool(value == whole) and (whole == 0 or type(value) is type(whole))


def _plain(section: Any) -> dict[str, Any]:
    return OmegaConf.to_container(section, resolve=True) if OmegaConf.is_config(section) else {}  # type: ignore[return-value]


def _check_fixed(key: str, section: Mapping[str, Any], fixed: Mapping[str, Fixed]) -> None:
    for name, one in fixed.items():
        if name in section and section[name] not in one.values:
            raise InputError(f"{key}.{name}={shown(section[name])}: {one.problem}")


def _check_limits(trainer: Mapping[str, Any]) -> None:
    for name, part in (("limit_train_batches", "training"), ("limit_val_batches", "validation")):
        if trainer.get(name) == 0:
            raise InputError(
                f"trainer.{name}={trainer[name]}: without {part} no checkpoint would be written. Use 1.0, or "
                "a number of batches."
            )
    if trainer.get("max_time") is not None and _is_no_time(trainer["max_time"]):
        raise InputError(
            f"trainer.max_time={trainer['max_time']}: no time to train. Expected days:hours:minutes:seconds."
        )


def _is_no_time(time: Any) -> bool:
    if isinstance(time, dict):
        return "_target_" not in time and all(number <= 0 for number in time.values())
    return isinstance(time, str) and re.fullmatch("[0:]+", time) is not None


def _check_learning_rate(config: DictConfig) -> None:
    """Check that the optimizer uses the scheduler's learning rate."""
    section, start = _plain(config.optimizer), OmegaConf.select(config, "scheduler.start_lr")
    target = section["_target_"]
    known = parameters(find_target("optimizer", target)) or {}
    if "lr" in known and "lr" not in section:
        raise InputError(
            f"optimizer.lr is missing: {target} would start with its own default, not scheduler.start_lr. "
            "Add lr: ${scheduler.start_lr} to the section optimizer."
        )
    if start is not None and section.get("lr", start) != start:
        raise InputError(
            f"optimizer.lr={section['lr']} and scheduler.start_lr={start}: two learning rates for the "
            "first step. Set scheduler.start_lr; if the config has a number for optimizer.lr, as a run's "
            "config.yaml does, set both to the same value."
        )


def _builds(name: str, section: Mapping[str, Any], path: str) -> bool:
    """Whether a section of callbacks builds a class or one derived from it."""
    target = find_target(f"callbacks.{name}", section.get("_target_"))
    wanted = find_target("callbacks", path)
    return isinstance(target, type) and issubclass(target, wanted)  # type: ignore[arg-type]


def _saves(name: str, section: Mapping[str, Any]) -> bool:
    return _builds(name, section, "pytorch_lightning.callbacks.ModelCheckpoint")


def _check_mode(name: str, section: Mapping[str, Any]) -> None:
    """Check that the smallest error counts as the best."""
    monitor = section.get("monitor")
    if section.get("mode") == "max" and re.search("rmse|mae|loss|score", str(monitor)):
        raise InputError(
            f"callbacks.{name}.mode=max: the worst {monitor} would count as the best. Use mode=min."
        )


def _check_averaging(name: str, section: Mapping[str, Any], trainer: Mapping[str, Any]) -> None:
    start = section.get("update_starting_at_step")
    if start is not None and start >= trainer["max_steps"]:
        raise InputError(
            f"callbacks.{name}.update_starting_at_step={start}: the run has {trainer['max_steps']} steps, so "
            "the initial weights would be validated and saved throughout. Give a smaller number."
        )


def _check_savers(savers: Mapping[str, Mapping[str, Any]]) -> None:
    """Check that the checkpoints needed at the end of a run are written, each by the right callback."""
    needed = {name: saver for name, saver in savers.items() if saver.get("filename") in CHECKPOINTS}
    if not needed:
        raise InputError(
            "callbacks: none writes checkpoints/best.ckpt or last.ckpt, so nothing could be evaluated at the "
            "end. Keep callbacks.checkpoint and callbacks.last_checkpoint as in "
            "configs/callbacks/default.yaml, and give other callbacks other names."
        )
    for name, saver in needed.items():
        _check_fixed(f"callbacks.{name}", saver, NEEDED)
