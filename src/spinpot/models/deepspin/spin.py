"""From `use_spin`, `virtual_len` and `spin_norm` to one η per element."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spinpot.core.errors import InputError
from spinpot.data.systems import System
from spinpot.models.deepspin.settings import ModelSpec, PerType, SpinSettings

COINCIDENT = 1e-6
"""Å; a virtual atom closer to its own atom than this has a 1/r that means nothing."""


def magnetic_types(
    use_spin: object, type_map: Sequence[str], with_moments: Sequence[str]
) -> tuple[bool, ...]:
    """One bool per element of type_map.

    `with_moments` lists the elements with non-zero spins in the training data, which is what `auto` means.
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
    hint = f"expected `auto`, {len(type_map)} bools, indices, or symbols, for the elements {list(type_map)}"
    if all(isinstance(entry, bool) for entry in entries):
        if len(entries) != len(type_map):
            raise InputError(f"model.spin.use_spin={entries} has {len(entries)} bools; {hint}.")
        chosen = tuple(entries)
    elif all(isinstance(entry, str) for entry in entries):
        chosen = _by_symbol(entries, type_map, hint)
    elif all(isinstance(entry, int) and not isinstance(entry, bool) for entry in entries):
        if any(not 0 <= entry < len(type_map) for entry in entries):
            raise InputError(f"model.spin.use_spin={entries} has an index outside the type map; {hint}.")
        chosen = tuple(index in entries for index in range(len(type_map)))
    else:
        raise InputError(f"model.spin.use_spin={entries} mixes kinds of entries; {hint}.")
    if not any(chosen):
        raise InputError(f"model.spin.use_spin={entries} makes no element magnetic; {hint}.")
    _refuse_contradiction(entries, chosen, type_map, with_moments)
    return chosen


def _refuse_contradiction(
    entries: list[Any], chosen: Sequence[bool], type_map: Sequence[str], with_moments: Sequence[str]
) -> None:
    """Raise InputError if all moments are on elements that are to have none."""
    named = [name for name, uses in zip(type_map, chosen, strict=True) if uses]
    if with_moments and not set(named) & set(with_moments):
        raise InputError(
            f"model.spin.use_spin={entries} gives spins to {' '.join(named)}, whose moments are all zero in "
            f"the training data, and none to {' '.join(with_moments)}, which have moments. Correct it (the "
            f"elements are {' '.join(type_map)}, in this order), e.g. "
            f"model.spin.use_spin='[{','.join(with_moments)}]'."
        )


def virtual_scales(spin: SpinSettings, use_spin: Sequence[bool], rcut: float) -> tuple[float, ...]:
    """η = virtual_len / spin_norm per element (Å/μ_B), zero for the elements without spin.

    Raises InputError if both ways are given, a length fits neither the magnetic elements nor all elements,
    a value is not positive, or virtual_len is not smaller than rcut (Å).
    """
    spin.check(rcut)
    if spin.virtual_scale is not None:
        return per_type("model.spin.virtual_scale", spin.virtual_scale, use_spin)
    lengths = per_type("model.spin.virtual_len", spin.virtual_len, use_spin)
    norms = per_type("model.spin.spin_norm", spin.spin_norm, use_spin)
    return tuple(
        length / norm if magnetic else 0.0
        for length, norm, magnetic in zip(lengths, norms, use_spin, strict=True)
    )


def check_moments(spec: ModelSpec, systems: Sequence[System]) -> None:
    """Raise InputError if a virtual atom lies beyond rcut, or on its own atom where nothing keeps 1/r finite.

    The latter takes env_protection=0 and a vanishing spin of an element with spin.
    """
    for system in systems:
        check_largest(spec, system)
    if spec.descriptor.env_protection > 0.0:
        return
    excluded = {tuple(sorted(pair)) for pair in spec.descriptor.exclude_types}
    n_types = len(spec.type_map)
    sees_own = [(kind, kind + n_types) not in excluded for kind in range(n_types)]
    seen = np.array(spec.use_spin) & sees_own
    for system in systems:
        distance = np.linalg.norm(system.spin, axis=-1) * np.array(spec.virtual_scale)[system.types]
        found = np.argwhere((distance < COINCIDENT) & seen[system.types])
        if len(found):
            frame, atom = (int(number) for number in found[0])
            size = float(np.linalg.norm(system.spin[frame, atom]))
            raise InputError(
                f"{system.where(frame, 'spin')}, atom {atom} ({spec.type_map[system.types[atom]]}): its spin "
                f"is {size:.2g} μ_B, so its virtual atom lies on the atom itself, and 1/r is infinite with "
                "model.descriptor.env_protection=0. Use model.descriptor.env_protection=0.01 (Å), the "
                "default, or leave such frames out."
            )


def check_largest(spec: ModelSpec, system: System) -> None:
    """Refuse moments whose virtual atoms lie beyond rcut: finding their pairs exhausts the memory."""
    length = np.linalg.norm(system.spin, axis=-1) * np.array(spec.use_spin)[system.types]
    distance = length * np.array(spec.virtual_scale)[system.types]
    frame, atom = np.unravel_index(int(distance.argmax()), distance.shape)
    if distance[frame, atom] > spec.descriptor.rcut:
        element = spec.type_map[system.types[atom]]
        raise InputError(
            f"{system.where(int(frame), 'spin')}, atom {atom} ({element}): a moment of "
            f"{length[frame, atom]:.4g} μ_B puts its virtual atom {distance[frame, atom]:.3g} Å away, beyond "
            f"rcut ({spec.descriptor.rcut} Å). Moments are a few μ_B: check their unit."
        )


def _by_symbol(symbols: list[str], type_map: Sequence[str], hint: str) -> tuple[bool, ...]:
    unknown = [symbol for symbol in symbols if symbol not in type_map]
    if unknown:
        raise InputError(f"model.spin.use_spin names {unknown}, which the data do not have; {hint}.")
    return tuple(name in symbols for name in type_map)


def per_type(key: str, value: PerType, use_spin: Sequence[bool]) -> tuple[float, ...]:
    """A scalar, or one number per magnetic element, or one per element, spread over all elements (T,).

    Elements without spin get 0. Raises InputError, naming the setting `key`, for a wrong length and for a
    number that is not positive.
    """
    n_types, n_magnetic = len(use_spin), sum(use_spin)
    numbers = [float(value)] * n_magnetic if isinstance(value, (int, float)) else [float(v) for v in value]  # type: ignore[union-attr]
    if len(numbers) == n_types:
        spread = [number if magnetic else 0.0 for number, magnetic in zip(numbers, use_spin, strict=True)]
    elif len(numbers) == n_magnetic:
        remaining = iter(numbers)
        spread = [next(remaining) if magnetic else 0.0 for magnetic in use_spin]
    else:
        raise InputError(
            f"{key} has {len(numbers)} numbers; expected one, or {n_magnetic} (one per magnetic "
            f"element), or {n_types} (one per element)."
        )
    if any(magnetic and not number > 0.0 for number, magnetic in zip(spread, use_spin, strict=True)):
        raise InputError(f"{key}={value} must be positive for every magnetic element.")
    return tuple(spread)
