"""A potential under another order of its elements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import cast

import torch
from torch import nn

from spinpot.models.deepspin.collocation import Nodes
from spinpot.models.deepspin.potential import DeepSpin
from spinpot.models.deepspin.spec import DeepSpinSpec


def reordered(potential: DeepSpin, type_map: Sequence[str]) -> DeepSpin:
    """The same potential for a type map that lists the same elements in another order, in float64."""
    spec = potential.spec
    order = [spec.type_map.index(name) for name in type_map]
    types = [*order, *(len(order) + t for t in order)]  # of neighbours, the virtual ones after the real ones
    made = DeepSpin(_spec(spec, type_map, order, types))
    centres = order[:1] if spec.descriptor.type_one_side else order
    embedding = [potential.descriptor.net_number(*pair) for pair in product(centres, types)]
    with torch.no_grad():
        _copy(potential.descriptor.embedding_nets, made.descriptor.embedding_nets, embedding)
        _copy(potential.fitting_nets, made.fitting_nets, order)
        made.energy_bias.copy_(potential.energy_bias[order])
        made.descriptor.davg.copy_(potential.descriptor.davg[order])
        made.descriptor.dstd.copy_(potential.descriptor.dstd[order])
    nodes = potential.descriptor.nodes
    made.descriptor.nodes = Nodes(
        [nodes.closest[t] for t in order], [[nodes.numbers[t][j] for j in types] for t in order]
    )
    made.facts = potential.facts
    return made


def _copy(nets: nn.Module, to: nn.Module, order: list[int]) -> None:
    """Parameters of nets side by side, in another order."""
    for given, copied in zip(nets.parameters(), to.parameters(), strict=True):
        copied.copy_(given[order])


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
