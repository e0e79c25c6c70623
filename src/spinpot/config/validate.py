"""No unknown key anywhere: a composed config against the signatures of what it builds."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from spinpot.config.suggest import nearest
from spinpot.errors import InputError

SECTIONS = ("data", "model", "loss", "optimizer", "scheduler", "trainer", "callbacks", "logger")
FREE = ("callbacks", "logger")
"""Sections whose entries have names of the user's choice."""
SCALARS = {"seed", "resume"}
PATHS = {"data_dir"}
EVALUATION = {"checkpoint", "systems", "output", "batch_size"}


def validate(config: DictConfig) -> None:
    """Raise InputError at the first unknown key, a key that came from a config file included."""
    _check_keys("", config, {*SECTIONS, *SCALARS, "paths"})
    _check_keys("paths.", config.paths, PATHS)
    for section in SECTIONS:
        _check_node(section, config[section], free=section in FREE)


def evaluation_arguments(config: DictConfig) -> dict[str, Any]:
    """What `spinpot.evaluate.evaluate` takes, from a composed evaluate.yaml.

    Raises InputError for an unknown key or a value of the wrong kind; a folder's name may be a number.
    """
    _check_keys("", config, EVALUATION)
    checkpoint, output, batch_size = config.checkpoint, config.output, config.batch_size
    systems = list(config.systems) if OmegaConf.is_list(config.systems) else [config.systems]
    for name, paths in (("checkpoint", [checkpoint]), ("systems", systems), ("output", [output])):
        if not paths or not all(isinstance(path, str | int) for path in paths):
            example = "systems='[DIR,DIR]'" if name == "systems" else f"{name}=PATH"
            raise InputError(f"{name}={config[name]}: expected a path. Write {example}.")
    if type(batch_size) is not int or batch_size < 1:
        raise InputError(f"batch_size={batch_size}: expected a number of frames >= 1.")
    return {
        "checkpoint": str(checkpoint),
        "systems": [str(path) for path in systems],
        "output": str(output),
        "batch_size": batch_size,
    }


def _check_node(key: str, node: DictConfig, free: bool = False) -> None:
    """Check a section that builds something, and the sections in it."""
    if "_target_" in node:
        _check_keys(f"{key}.", node, _parameters(key, str(node["_target_"])))
    elif not free:
        raise InputError(f"The config section {key} has no _target_: it says not what to build.")
    for name in map(str, node):
        if not OmegaConf.is_missing(node, name) and isinstance(node[name], DictConfig):
            _check_node(f"{key}.{name}", node[name])


def _parameters(key: str, target: str) -> set[str] | None:
    """The arguments a target takes; None where it takes any."""
    try:
        parameters = inspect.signature(get_object(target)).parameters.values()
    except Exception as error:  # hydra raises bare Exceptions for what it cannot import
        raise InputError(f"{key}._target_={target} cannot be imported: {error}") from error
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return {parameter.name for parameter in parameters}


def _check_keys(prefix: str, node: DictConfig, valid: Iterable[str] | None) -> None:
    if valid is None:
        return
    known = set(valid)
    for name in map(str, node):
        if name not in known and not name.startswith("_"):
            raise InputError(
                f"Unknown setting {prefix}{name}.{nearest(name, known)} "
                f"{prefix.rstrip('.') or 'The config'} takes: {', '.join(sorted(known))}."
            )
