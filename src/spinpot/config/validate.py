"""Checks a composed config before any work: no unknown keys, no values of a wrong type."""

import inspect
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError

from spinpot.config.conflicts import check_conflicts
from spinpot.config.suggest import UNWRAPPED, file_with, options_of
from spinpot.config.targets import find_target, parameters
from spinpot.config.values import argument_types, expected, fits, shown
from spinpot.core.errors import InputError, require
from spinpot.core.quantities import QUANTITIES
from spinpot.core.spelling import dotted_keys, missing_keys, nearest

METRICS = ("score", *(f"{kind}_{name}" for kind in ("rmse", "mae") for name in QUANTITIES))
SECTIONS = ("data", "model", "loss", "scheduler", "optimizer", "trainer", "callbacks", "logger")
"""Sections that others refer to come first, so that an error is reported at its origin."""
FREE = ("callbacks", "logger")  # sections whose entries have names of the user's choice
SCALARS: dict[str, Any] = {
    "seed": int,
    "resume": Literal["auto"] | Path | None,
    "init_from": Path | None,
    "init_from_bias": Literal["keep", "refit"],
    "report": bool | None,  # older configs do not have it
    "optimized_metric": Literal[METRICS],
    "paths.data_dir": Path,
}
"""Settings outside the sections, and their types."""
OWN: dict[str, dict[str, Any]] = {"trainer": {"cuda_graph": Literal["auto"] | bool}}
"""Settings of a section that its target does not take, and their types."""
EVALUATION = {"checkpoint": list[Path], "systems": list[Path], "output": Path, "batch_size": int}
AUDIT = {"systems": list[Path], "output": Path | None}
ANALYSIS = {
    **dict.fromkeys(("checkpoint", "structure", "output"), Path),
    "task": dict,
    "moments": str | None,
    "moment_unit": Literal["mu_B", "direction"] | None,
}
LABEL = {
    "label": dict,
    "recipe": dict,
    "structure": Path | None,
    "output": Path,
    "seed": int,
    "retry_failed": bool,
    "report": bool,
    "worker": int,
}
LEARN = {
    **{name: hint for name, hint in LABEL.items() if name not in ("retry_failed", "worker")},
    "train": list[str],
    **dict.fromkeys(("exploration", "learn", "validation", "test"), dict),
}
"""The settings of other commands than train, and their types."""
AT_LEAST_ONE = ("val_check_interval", "log_every_n_steps", "accumulate_grad_batches")
"""Numbers of steps and their minimum: with less, Lightning would divide by zero, or not train."""
PRECISIONS = {"64-true": "float64", "32-true": "float32"}  # precision → torch's dtype of the networks
MANY = 20  # most valid keys that an error lists


def validate(config: DictConfig) -> None:
    """Raise InputError for the first unknown key or wrong value, on the command line or in a config file."""
    top = {key.partition(".")[0] for key in SCALARS}
    _check_keys("", config, {*SECTIONS, *top}, config)
    for section in (*SECTIONS, "paths"):
        _check_section(section, config)
    _check_keys("paths.", config.paths, {"data_dir"}, config)
    if missing := missing_keys(config):
        raise InputError(needed(missing))
    for key, hint in SCALARS.items():
        _check_value(key, _value(key, config), hint)
    if config.resume == "":
        raise InputError("resume= is empty: expected auto, a path or null.")
    require(config.seed >= 0, "seed", config.seed, "a whole number >= 0.")
    _check_trainer(config.trainer)
    for section in SECTIONS:
        _check_node(section, config[section], config, free=section in FREE)
    check_conflicts(config)


def needed(keys: Iterable[str]) -> str:
    """The message on settings that have no value."""
    keys = list(keys)
    verb = "have no value, but are" if len(keys) > 1 else "has no value, but is"
    given = " ".join(f"{key}=VALUE" for key in keys)
    return f"{', '.join(keys)} {verb} needed. Give {given} on the command line, or in a config file."


def arguments(types: Mapping[str, Any], config: DictConfig, prefix: str = "") -> dict[str, Any]:
    """The settings of a command, or of its section `prefix`, as plain data.

    A path may be a number, and a single one stands for a list. Raises InputError for an unknown key and for a
    value that is missing or does not have its type.
    """
    if missing := missing_keys(config):
        raise InputError(needed(missing))
    node = OmegaConf.select(config, prefix.rstrip(".")) if prefix else config
    _check_keys(prefix, node, types, config)
    given = {}
    for name in map(str, node):
        key, hint = prefix + name, types[name]
        given[name] = _as_paths(_value(key, config), hint)
        _check_value(key, given[name], hint)
        if given[name] == [] and hint == list[Path]:
            raise InputError(f"{key}=[]: expected at least one path.")
    return given


def _as_paths(value: Any, hint: Any) -> Any:
    if hint == list[Path] and value is not None:
        return [_as_paths(path, Path) for path in (value if isinstance(value, list) else [value])]
    is_name = type(value) is int and fits("", hint) and not fits(value, hint)
    return str(value) if is_name else value


def analysis_arguments(config: DictConfig, tasks: Mapping[str, type[Any]]) -> dict[str, Any]:
    """The arguments of `spinpot.analysis.run.analyze`, from a composed analyze.yaml.

    tasks: the dataclass of each task's settings. Raises InputError for an unknown key or a wrong value.
    """
    found = arguments(ANALYSIS, config)
    _check_keys("task.", config.task, tasks, config)
    made = {
        name: arguments(typing.get_type_hints(tasks[name]), config, f"task.{name}.")
        for name in found.pop("task")
    }
    return {**found, "tasks": {name: tasks[name](**settings) for name, settings in made.items()}}


def label_arguments(config: DictConfig, system: type[Any]) -> dict[str, Any]:
    """The arguments of `spinpot.labels.run.label`, except the labeller, from a composed label.yaml.

    system: the dataclass of a system's settings. Raises InputError for an unknown key or a wrong value.
    """
    return _labelling(LABEL, config, system)


def learn_arguments(
    config: DictConfig, system: type[Any], sections: Mapping[str, type[Any]]
) -> dict[str, Any]:
    """The arguments of `spinpot.learning.loop.learn`, except the labeller, from a composed learn.yaml.

    sections: the dataclass to build for each. Raises InputError for an unknown key or a wrong value.
    """
    found = _labelling(LEARN, config, system)
    for name, made in sections.items():
        found[name] = made(**arguments(typing.get_type_hints(made), config, f"{name}."))
    return found


def _labelling(types: Mapping[str, Any], config: DictConfig, system: type[Any]) -> dict[str, Any]:
    found = arguments(types, config)
    require(found["seed"] >= 0, "seed", found["seed"], "a whole number >= 0.")
    _check_node("label", config.label, config)
    own = typing.get_type_hints(system)
    found["recipe"] = arguments({**own, "structure": dict | None, "systems": dict}, config, "recipe.")
    for name in found["recipe"]["systems"]:
        found["recipe"]["systems"][name] = arguments(own, config, f"recipe.systems.{name}.")
    return {name: value for name, value in found.items() if name not in ("label", "worker")}


def _check_section(name: str, config: DictConfig) -> None:
    section = config.get(name)
    if not isinstance(section, DictConfig):
        options = options_of(name)
        choose = f" Choose one by {name}={'|'.join(options)}." if options else ""
        raise InputError(f"The config has no section {name}.{choose}")


def _check_trainer(trainer: DictConfig) -> None:
    """Raise InputError for trainer settings that Lightning accepts but fails on, or ignores."""
    for name in ("max_steps", *AT_LEAST_ONE):
        value = trainer.get(name)
        if name == "max_steps" and value == 0:
            continue  # 0 steps: the model is only initialised
        if name == "val_check_interval" and isinstance(value, (str, DictConfig)):
            continue  # a duration
        whole, least = type(value) is int and value >= 1, 0 if name == "max_steps" else 1
        require(whole, f"trainer.{name}", shown(value), f"a whole number >= {least}.{_whole(value)}")
    precision, clip = trainer.get("precision"), trainer.get("gradient_clip_val")
    require(precision in PRECISIONS, "trainer.precision", precision, f"{' or '.join(PRECISIONS)}.")
    positive = clip is None or (fits(clip, float) and clip > 0.0)
    require(positive, "trainer.gradient_clip_val", clip, "a number > 0, or null for no clipping.")


def _check_node(key: str, node: DictConfig, config: DictConfig, free: bool = False) -> None:
    """Check a section that builds something, and the sections in it."""
    if free:
        for name in map(str, node):
            section = isinstance(node[name], DictConfig)
            require(section, f"{key}.{name}", node[name], "a section with a _target_.")
            _check_node(f"{key}.{name}", node[name], config)
        return
    if "_target_" not in node:
        raise InputError(f"The config section {key} has no _target_: it does not say what to build.")
    target = find_target(key, node["_target_"])
    known = parameters(target)
    if known is not None:
        _check_keys(f"{key}.", node, {*known, *OWN.get(key, {})}, config)
        _check_complete(key, node, known)
    hints = {**argument_types(target), **OWN.get(key, {})}
    for name in map(str, node):
        if name.startswith("_"):
            continue
        value = _value(f"{key}.{name}", config)
        if isinstance(value, dict) and "_target_" in value:
            _check_node(f"{key}.{name}", node[name], config)
        elif name in hints and not (known and name in known and value == known[name].default):
            _check_value(f"{key}.{name}", value, hints[name])


def _check_keys(prefix: str, node: DictConfig, valid: Iterable[str], config: DictConfig) -> None:
    known = sorted(valid)
    for name in map(str, node):
        if name in known or name.startswith("_"):
            continue
        close = nearest(prefix + name, [prefix + other for other in known])
        close = close or nearest(prefix + name, dotted_keys(config, without=prefix + name))
        hint = ""
        if name in UNWRAPPED:
            hint = f" A file of the group {name} must begin with the line `# @package _global_`."
        if len(known) < MANY:
            hint += f" {prefix.rstrip('.') or 'The config'} takes: {', '.join(known)}."
        raise InputError(f"Unknown setting {prefix}{name}{file_with(prefix + name)}.{close}{hint}")


def _check_complete(key: str, node: DictConfig, known: dict[str, inspect.Parameter]) -> None:
    """Raise InputError for a missing argument without default, unless the section is _partial_."""
    if node.get("_partial_") or "_args_" in node:
        return
    for name, parameter in known.items():
        if parameter.default is inspect.Parameter.empty and name not in node:
            raise InputError(needed([f"{key}.{name}"]))


def _check_value(key: str, value: Any, hint: Any) -> None:
    if fits(value, hint):
        return
    choices = expected(hint).replace(" or ", ", ").split(", ")
    close = nearest(value, choices) if isinstance(value, str) else ""
    group = key.replace(".", "/")
    if value in options_of(group):
        close = f" Choose it by {group}={value}."
    quote = f""" Quote it: {key}='"{value}"'.""" if type(value) in (int, float) and fits("", hint) else ""
    raise InputError(f"{key}={shown(value)}: expected {expected(hint)}.{_whole(value)}{quote}{close}")


def _value(key: str, config: DictConfig) -> Any:
    """The value of a dotted key as plain data. Raises InputError if it refers to an unknown key."""
    try:
        value = OmegaConf.select(config, key)
        if isinstance(value, (DictConfig, ListConfig)):
            return OmegaConf.to_container(value, resolve=True)
        return value
    except InterpolationResolutionError as error:
        problem = str(error).splitlines()[0]
        raise InputError(f"{key}{file_with(key)}: {problem}. Correct the ${{…}}.") from error


def _whole(value: Any) -> str:
    """Advice for values such as 1e5, which YAML reads as a float."""
    return f" Write {int(value)}." if isinstance(value, float) and value.is_integer() else ""
