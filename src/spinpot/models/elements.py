"""Settings per element: which elements have spin, and numbers for the magnetic elements."""

from collections.abc import Sequence
from typing import Any

from spinpot.core.errors import InputError, require

PerType = float | Sequence[float] | None
"""One number, one per magnetic element, or one per element."""


def magnetic_types(
    use_spin: object, type_map: Sequence[str], with_moments: Sequence[str]
) -> tuple[bool, ...]:
    """One bool per element of type_map.

    `with_moments` lists the elements with non-zero spins in the training data; `auto` selects these.
    Raises InputError for a wrong length, an unknown symbol or an index out of range.
    """
    if use_spin == "auto":
        chosen = tuple(name in with_moments for name in type_map)
        if not any(chosen):
            raise InputError(
                "model.spin.use_spin=auto, but every spin in the training data is zero: "
                "check spin.npy, or name the magnetic elements, e.g. model.spin.use_spin='[Ni]'."
            )
        return chosen
    entries: list[Any] = [use_spin] if isinstance(use_spin, (str, bool, int)) else list(use_spin)  # type: ignore[call-overload]
    kinds = {type(entry) for entry in entries}
    if kinds == {bool}:
        chosen, known = tuple(entries), len(entries) == len(type_map)
    else:
        places: Sequence[Any] = range(len(type_map)) if kinds == {int} else type_map
        chosen, known = tuple(place in entries for place in places), set(entries) <= set(places)
    expected = f"`auto`, {len(type_map)} bools, or indices or symbols, of at least one of {list(type_map)}."
    require(known and any(chosen), "model.spin.use_spin", entries, expected)
    _refuse_contradiction(entries, chosen, type_map, with_moments)
    return chosen


def _refuse_contradiction(
    entries: list[Any], chosen: Sequence[bool], type_map: Sequence[str], with_moments: Sequence[str]
) -> None:
    """Raise InputError if use_spin excludes all elements that have moments."""
    named = [name for name, uses in zip(type_map, chosen, strict=True) if uses]
    if with_moments and not set(named) & set(with_moments):
        raise InputError(
            f"model.spin.use_spin={entries} gives spins to {' '.join(named)}, whose moments are all zero in "
            f"the training data, and none to {' '.join(with_moments)}, which have moments. Correct it (the "
            f"elements are {' '.join(type_map)}, in this order), e.g. "
            f"model.spin.use_spin='[{','.join(with_moments)}]'."
        )


def per_type(key: str, value: PerType, use_spin: Sequence[bool]) -> tuple[float, ...]:
    """Expand one number, one per magnetic element, or one per element, to all elements (T,).

    Elements without spin get 0. Raises InputError, naming the setting `key`, for a wrong length and for a
    number that is not positive.
    """
    n_types, n_magnetic = len(use_spin), sum(use_spin)
    numbers = [float(value)] * n_magnetic if isinstance(value, (int, float)) else [float(v) for v in value]  # type: ignore[union-attr]
    if len(numbers) == n_types:
        numbers = [number for number, magnetic in zip(numbers, use_spin, strict=True) if magnetic]
    if len(numbers) != n_magnetic:
        raise InputError(
            f"{key} has {len(numbers)} numbers; expected one, or {n_magnetic} (one per magnetic "
            f"element), or {n_types} (one per element)."
        )
    require(all(number > 0.0 for number in numbers), key, value, "numbers > 0 for all magnetic elements.")
    remaining = iter(numbers)
    return tuple(next(remaining) if magnetic else 0.0 for magnetic in use_spin)
