"""Computes η per element from `virtual_len` and `spin_norm`; checks the distances of virtual atoms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from spinpot.core.errors import InputError
from spinpot.data.batch import Frame
from spinpot.data.systems import System
from spinpot.models.deepspin.settings import VirtualAtomSettings
from spinpot.models.elements import per_type
from spinpot.models.training_facts import TrainingFacts

if TYPE_CHECKING:
    from spinpot.models.deepspin.spec import DeepSpinSpec

COINCIDENT = 1e-6  # Å; 1/r has no meaning for a virtual atom closer than this to its own atom
NEAR_ZERO = 0.05
"""Å, distance of an atom from its virtual atom plus env_protection; 1/r of closer ones dominates."""


def virtual_scales(spin: VirtualAtomSettings, use_spin: Sequence[bool], rcut: float) -> tuple[float, ...]:
    """η = virtual_len / spin_norm per element (Å/μ_B), zero for the elements without spin.

    Raises InputError if both ways are given, a length fits neither the magnetic elements nor all elements,
    a value is not positive, or virtual_len is not smaller than rcut (Å).
    """
    spin.check_within(rcut)
    if spin.virtual_scale is not None:
        return per_type("model.spin.virtual_scale", spin.virtual_scale, use_spin)
    lengths = per_type("model.spin.virtual_len", spin.virtual_len, use_spin)
    norms = per_type("model.spin.spin_norm", spin.spin_norm, use_spin)
    return tuple(
        length / norm if magnetic else 0.0
        for length, norm, magnetic in zip(lengths, norms, use_spin, strict=True)
    )


def check_moments(spec: DeepSpinSpec, systems: Sequence[System]) -> None:
    """Raise InputError if a virtual atom lies beyond rcut, or on its own atom with infinite 1/r.

    The latter happens with env_protection=0 and a zero moment of an element with spin.
    """
    for system in systems:
        check_largest(spec, system)
    if spec.descriptor.env_protection > 0.0:
        return
    seen = _see_their_own(spec)
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


def surely_placed(spec: DeepSpinSpec, frame: Frame) -> bool:
    """A quick test: True if check_moments passes the frame."""
    largest = 3**0.5 * np.abs(frame.spin).max() * max(spec.virtual_scale)
    if spec.descriptor.env_protection > 0.0:
        return bool(largest <= spec.descriptor.rcut)
    distance = np.linalg.norm(frame.spin, axis=-1) * np.array(spec.virtual_scale)[frame.types]
    nearest = distance[np.array(spec.use_spin)[frame.types]].min(initial=np.inf)
    return bool(largest <= spec.descriptor.rcut and nearest >= COINCIDENT)


def check_largest(spec: DeepSpinSpec, system: System) -> None:
    """Raise InputError for virtual atoms beyond rcut: finding their pairs would exhaust the memory."""
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


def near_zero(
    spec: DeepSpinSpec, facts: TrainingFacts | None, systems: Sequence[System]
) -> Iterator[tuple[str, str]]:
    """(element, message) for elements with spin that have moments near zero."""
    protection, seen = spec.descriptor.env_protection, _see_their_own(spec)
    for kind, element in enumerate(spec.type_map):
        if not seen[kind] or protection >= NEAR_ZERO:
            continue
        limit = (NEAR_ZERO - protection) / spec.virtual_scale[kind]
        lengths = [np.linalg.norm(s.spin[:, s.types == kind], axis=-1).ravel() for s in systems]
        length = np.concatenate([np.zeros(0), *lengths])
        if not (length < limit).any():
            continue
        _, greatest = facts.moments.get(element, (limit, limit)) if facts else (limit, limit)
        yield element, _never(element, greatest) if greatest < limit else _cusp(element, length, limit)


def _see_their_own(spec: DeepSpinSpec) -> np.ndarray:
    """(T,) bool: whether atoms of each element interact with their own virtual atoms."""
    return spec.geometry.seen[:, len(spec.type_map) :].diagonal()


def _never(element: str, greatest: float) -> str:
    return (
        f"no moment of {element} in the training frames is above {greatest:.2g} μ_B, but the model treats "
        f"{element} as magnetic. Train with use_spin without it, or check whether its moments were lost."
    )


def _cusp(element: str, length: np.ndarray, limit: float) -> str:
    return (
        f"{(length < limit).sum()} of {len(length)} moments of {element} are near zero (below {limit:.2g} "
        f"μ_B, the smallest {length.min():.2g}): the energy has a cusp at S = 0, and virtual atoms so close "
        "to their atoms increase the deviation by which all neighbours are divided. Train with "
        "model.descriptor.env_protection=1.0."
    )
