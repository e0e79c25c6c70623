"""Where nested settings differ."""

from collections.abc import Callable, Sequence
from typing import Any

Difference = tuple[str, Any, Any]
"""A dotted key, and its values then and now."""


def differences(
    then: Any, now: Any, accepted: Callable[[str, Any, Any], bool] = lambda *_: False, key: str = ""
) -> list[Difference]:
    """Find where two nested dicts differ.

    accepted: called with key, old and new value of each difference, also of one between two dicts; returns
    whether to ignore it and everything below it.
    """
    if then == now or accepted(key, then, now):
        return []
    if isinstance(then, dict) and isinstance(now, dict):
        places = {name: f"{key}.{name}" if key else name for name in sorted(then.keys() | now.keys())}
        return [
            change
            for name, place in places.items()
            for change in differences(then.get(name), now.get(name), accepted, place)
        ]
    return [(key, then, now)]


def in_words(changes: Sequence[Difference]) -> list[str]:
    """The differences in words. `then` are the values in a folder, `now` those of the present command."""
    return [f"{key}: {then!r} there, {now!r} now" for key, then, now in changes]
