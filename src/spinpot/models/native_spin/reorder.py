"""A potential under another order of its elements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from spinpot.models.native_spin.potential import NativeSpin


def reordered(potential: NativeSpin, type_map: Sequence[str]) -> NativeSpin:
    """The same potential for a type map that lists the same elements in another order, in float64."""
    spec, size = potential.spec, potential.invariants.size
    order = [spec.type_map.index(name) for name in type_map]
    use_spin = tuple(spec.use_spin[t] for t in order)
    made = NativeSpin(replace(spec, type_map=tuple(type_map), use_spin=use_spin))

    def moved(name: str, values: Tensor) -> Tensor:
        if name == "energy_scale":
            return values
        if name == "normal":
            rows = torch.tensor([*(t * size + p for t in order for p in range(size)), *(_ends(order, size))])
            return values[rows][:, rows]
        own = values[order]
        if name == "invariants.mixing":  # also by the neighbours' elements
            own = own.unflatten(1, (len(order), -1))[:, order].flatten(1, 2)
        return own

    made.load_state_dict({name: moved(name, values) for name, values in potential.state_dict().items()})
    made.load_state(potential.state())
    made.facts = potential.facts
    return made


def _ends(order: Sequence[int], size: int) -> list[int]:
    """The places of the elements' own energies, behind all weights."""
    return [len(order) * size + t for t in order]
