"""A potential under another order of its elements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import cast

import torch

from spinpot.models.deepspin.collocation import Nodes
from spinpot.models.deepspin.networks import ResidualNet
from spinpot.models.deepspin.potential import DeepSpin
from spinpot.models.deepspin.spec import DeepSpinSpec


def reordered(potential: DeepSpin, type_map: Sequence[str]) -> DeepSpin:
    """The same potential for a type map that lists the same elements in another order, in float64."""
    spec = potential.spec
    order = [spec.type_map.index(name) for name in type_map]
    types = [*order, *(len(order) + t for t in order)]  # of neighbours, the virtual ones after the real ones
    made = DeepSpin(_spec(spec, type_map, order, types))
    centres = range(1) if spec.descriptor.type_one_side else range(len(order))
    for centre, neighbour in product(centres, range(len(types))):
        there = potential.descriptor.embedding_net(order[centre], types[neighbour])
        _copy(there, made.descriptor.embedding_net(centre, neighbour))
    nets = zip(made.fitting_nets.parameters(), potential.fitting_nets.parameters(), strict=True)
    with torch.no_grad():
        for of_nets, given in nets:
            of_nets.copy_(given[order])
        made.energy_bias.copy_(potential.energy_bias[order])
        made.descriptor.davg.copy_(potential.descriptor.davg[order])
        made.descriptor.dstd.copy_(potential.descriptor.dstd[order])
    nodes = potential.descriptor.nodes
    made.descriptor.nodes = Nodes(
        [nodes.closest[t] for t in order], [[nodes.numbers[t][j] for j in types] for t in order]
    )
    made.facts = potential.facts
    return made


@torch.no_grad()
def _copy(net: ResidualNet, to: ResidualNet) -> None:
    for layer, other in zip(net.layers, to.layers, strict=True):
        for weight, copied in zip(layer.parameters_in_order(), other.parameters_in_order(), strict=True):
            copied.copy_(weight)


def _spec(spec: DeepSpinSpec, type_map: Sequence[str], order: list[int], types: list[int]) -> DeepSpinSpec:
    sel = cast(Sequence[int], spec.descriptor.sel)
    excluded = tuple(tuple(types.index(t) for t in pair) for pair in spec.descriptor.exclude_types)
    return replace(
        spec,
        type_map=tuple(type_map),
        descriptor=replace(spec.descriptor, sel=tuple(sel[t] for t in order), exclude_types=excluded),
        use_spin=tuple(spec.use_spin[t] for t in order),
        virtual_scale=tuple(spec.virtual_scale[t] for t in order),
    )
