"""Checks whether a config value fits the type annotation of its argument, and describes annotations."""

import collections.abc
import dataclasses
import inspect
import math
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Union

WORDS: dict[Any, tuple[str, str]] = {
    bool: ("true or false", "true/false"),
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("text", "texts"),
    Path: ("a path", "paths"),
}
"""Names of the annotations that a plain value can satisfy: singular and plural."""

SEQUENCES = (list, tuple, set, collections.abc.Sequence, collections.abc.Iterable)
MAPPINGS = (dict, collections.abc.Mapping)


def argument_types(target: Callable[..., Any]) -> dict[str, Any]:
    """The argument types of a class or function; empty if they cannot be found out."""
    try:
        # The annotations of a dataclass's fields must be evaluated in the module of their own class.
        by_init = inspect.isclass(target) and not dataclasses.is_dataclass(target)
        return typing.get_type_hints(target.__init__ if by_init else target)
    except Exception:  # evaluating foreign annotations may raise anything
        return {}


def fits(value: Any, hint: Any) -> bool:
    """Whether a YAML value (None, bool, int, float, str, list, dict) fits an annotation.

    For classes other than Python's own, lists and dicts fit and single values do not. No plain value fits a
    dataclass, which is built from a section with a _target_.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if _is_union(hint):
        return any(fits(value, option) for option in arguments)
    if hint is Any or isinstance(hint, typing.TypeVar):
        return True
    if hint is None or hint is type(None):
        return value is None
    if origin is Literal:
        return any(value == option and type(value) is type(option) for option in arguments)
    if hint in WORDS:
        return _fits_plain(value, hint)
    if (origin or hint) in SEQUENCES:
        return isinstance(value, list) and _items_fit(value, arguments)
    if (origin or hint) in MAPPINGS:
        return isinstance(value, dict)
    return isinstance(value, (dict, list)) and not dataclasses.is_dataclass(hint)


def expected(hint: Any) -> str:
    """An annotation in words: 'a number, a list of numbers or null'."""
    return _join(_names(hint, many=False)) or "a section with a _target_"


def shown(value: Any) -> str:
    """A value as YAML writes it."""
    return {"None": "null", "True": "true", "False": "false"}.get(str(value), str(value))


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (Union, types.UnionType)


def _fits_plain(value: Any, hint: type) -> bool:
    if hint is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is (str if hint is Path else hint)


def _items_fit(values: list[Any], arguments: tuple[Any, ...]) -> bool:
    if not arguments:
        return True
    if len(arguments) == 1 or arguments[-1] is Ellipsis:
        return all(fits(value, arguments[0]) for value in values)
    return len(values) == len(arguments) and all(map(fits, values, arguments))


def _names(hint: Any, many: bool) -> list[str]:
    """The kinds of YAML values that fit, in the singular or the plural; empty for other classes."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if _is_union(hint):
        options = [option for option in arguments if not (option is int and float in arguments)]
        names = [name for option in options for name in _names(option, many)]
        return [] if names == ["null"] else list(dict.fromkeys(names))
    if origin is Literal:
        return [str(option) for option in arguments]
    if hint in WORDS:
        return [WORDS[hint][many]]
    if hint is None or hint is type(None):
        return ["null"]
    if (origin or hint) in SEQUENCES:
        return [_list_of(arguments, many)]
    if (origin or hint) in MAPPINGS:
        return ["sections" if many else "a section of keys and values"]
    return []


def _list_of(arguments: tuple[Any, ...], many: bool) -> str:
    items = _join(_names(arguments[0], many=True)) if arguments else ""
    length = "" if len(arguments) < 2 or Ellipsis in arguments else f"{len(arguments)} "
    return ("lists" if many else "a list") + (f" of {length}{items}" if items else "")


def _join(names: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
