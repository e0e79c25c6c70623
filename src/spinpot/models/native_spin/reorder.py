"""A potential under another order of its elements."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from spinpot.models.native_spin.potential import NativeSpin

SAME = {"energy_scale", "expected_errors.usual", "expected_errors.noise"}
"""What does not belong to elements."""
OF_NEIGHBOURS = {"invariants.mixing"}
"""Whose second dimension has the radial functions of each neighbour's element; the first is the centre's."""
COLUMNS = "expected_errors.whitening"
"""Whose rows are those of the least squares: the weights of each element, and then the elements' energies."""


def reordered(potential: NativeSpin, type_map: Sequence[str]) -> NativeSpin:
    """The same potential for a type map that lists the same elements in another order, in float64."""
    spec = potential.spec
    order = [spec.type_map.index(name) for name in type_map]
    use_spin = tuple(spec.use_spin[t] for t in order)
    made = NativeSpin(replace(spec, type_map=tuple(type_map), use_spin=use_spin))

    def moved(name: str, values: Tensor) -> Tensor:
        if name in SAME:
            return values
        if name == COLUMNS:
            size = potential.invariants.size
            weights, energies = values.split((len(order) * size, len(order)))
            return torch.cat((weights.unflatten(0, (-1, size))[order].flatten(0, 1), energies[order]))
        own = values[order]
        return own.unflatten(1, (len(order), -1))[:, order].flatten(1, 2) if name in OF_NEIGHBOURS else own

    with torch.no_grad():
        made.load_state_dict({name: moved(name, values) for name, values in potential.state_dict().items()})
    made.load_state(potential.state())
    made.facts = potential.facts
    return made
