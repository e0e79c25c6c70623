"""Finds the class or function that a config's dotted name means, and its arguments."""

import importlib
import inspect
from collections.abc import Callable
from typing import Any, cast

from spinpot.core.errors import InputError
from spinpot.core.spelling import nearest


def find_target(key: str, path: object) -> Callable[..., Any]:
    """The object that `_target_: path` of section `key` names. Raises InputError with the nearest name."""
    setting = f"{key}._target_={path}"
    if not isinstance(path, str) or not path:
        raise InputError(f"{setting}: expected the dotted name of a class or function.")
    parts = path.split(".")
    found = _import(setting, parts[0])
    for k, name in enumerate(parts[1:], start=1):
        if not hasattr(found, name):
            _import(setting, ".".join(parts[: k + 1]))
        if not hasattr(found, name):
            parent = ".".join(parts[:k])
            hint = nearest(name, [other for other in dir(found) if not other.startswith("_")])
            raise InputError(f"{setting}: there is no {name} in {parent}.{hint}")
        found = getattr(found, name)
    if not callable(found):
        raise InputError(f"{setting}: expected a class or function, but this is a {type(found).__name__}.")
    return cast(Callable[..., Any], found)


def parameters(target: Callable[..., Any]) -> dict[str, inspect.Parameter] | None:
    """The arguments that a target takes by name; None if they cannot be found out."""
    try:
        found = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):  # some classes of compiled modules
        return None
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in found):
        return None
    return {one.name: one for one in found if one.kind is not inspect.Parameter.VAR_POSITIONAL}


def _import(setting: str, path: str) -> Any:
    """Import a module; None if its package has no module of that name."""
    try:
        return importlib.import_module(path)
    except ImportError as error:
        absent = isinstance(error, ModuleNotFoundError) and error.name is not None
        if absent and "." in path and f"{path}.".startswith(f"{error.name}."):
            return None
        raise InputError(f"{setting} cannot be imported: {error}.") from error
