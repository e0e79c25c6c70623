"""DeepSPIN: the se_e2_a descriptor of real and virtual atoms, and one fitting net per element."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from itertools import product
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from spinpot import kernels
from spinpot.core.console import print_line
from spinpot.core.errors import InputError
from spinpot.data.batch import Batch
from spinpot.data.systems import System
from spinpot.models.deepspin.collocation import (
    BEYOND,
    CHUNK,
    NUMBERS,
    ROUNDING,
    STENCIL,
    USUAL_CLOSEST,
    Nodes,
    lagrange_polynomials,
)
from spinpot.models.deepspin.collocation_check import (
    Numbers,
    collocation_errors,
    exact_numbers,
    largest_net_error,
    settle_nodes,
)
from spinpot.models.deepspin.compiled import Network, network_settings
from spinpot.models.deepspin.contraction import contract, pull_back
from spinpot.models.deepspin.descriptor import Descriptor
from spinpot.models.deepspin.fitting import FittingNet, energy_and_gradient
from spinpot.models.deepspin.settings import is_smooth
from spinpot.models.deepspin.spec import DeepSpinSpec
from spinpot.models.derivatives import Derivatives
from spinpot.models.potential import Exporter, InferencePart, Part, Potential

ROUGH = 1e-11
"""Largest interpolation error of a net's values that counts as rounding."""


class DeepSpin(Potential):
    """E_i = net_{t_i}(D_i) (Zhang et al. 2018; with virtual atoms Yang et al. 2024)."""

    spec_type = DeepSpinSpec
    spec: DeepSpinSpec
    virtual_scale: Tensor

    def __init__(self, spec: DeepSpinSpec, seed: int = 0) -> None:
        super().__init__(spec, seed)
        generator = torch.Generator().manual_seed(seed)
        self.descriptor = Descriptor(spec, generator)
        fitting = self.descriptor.width, spec.fitting_net, generator
        self.fitting_nets = FittingNet.side_by_side([FittingNet.random(*fitting) for _ in spec.type_map])
        # η of every neighbour type: zero for real atoms, then η of the virtual atoms.
        scale = torch.tensor([*(0.0 for _ in spec.type_map), *spec.virtual_scale], dtype=torch.float64)
        self.register_buffer("virtual_scale", scale)

    def derivatives(self, batch: Batch, differentiable: bool) -> Derivatives:
        """Descriptor, fitting nets, and back to the pair vectors; `evaluation` names the implementation."""
        if self.evaluation() == "compiled":
            return self._compiled(batch).derivatives(differentiable)
        environment, derivatives = self.descriptor.environment(batch, self.virtual_scale, differentiable)
        axis = self.spec.descriptor.axis_neuron
        atom_energy, by_descriptor = energy_and_gradient(
            self.fitting_nets, contract(environment, axis), batch.type_sizes
        )
        by_environment = pull_back(environment, by_descriptor, axis)
        return Derivatives(atom_energy[batch.atom_place].double(), *derivatives(by_environment))

    def energies(self, batch: Batch) -> Tensor:
        """As Potential.energies; the kernels skip the derivatives."""
        if self.evaluation() == "compiled":
            return self._compiled(batch).energies()
        return super().energies(batch)

    def _compiled(self, batch: Batch) -> Network:
        return Network(self.descriptor, self.fitting_nets, batch, self.virtual_scale)

    @torch.no_grad()
    def features(self, batch: Batch) -> Tensor:
        """The descriptor."""
        environment, _ = self.descriptor.environment(batch, self.virtual_scale, False)
        return contract(environment, self.spec.descriptor.axis_neuron)[batch.atom_place]

    def evaluation(self) -> str:
        """`direct`: embedding evaluated for each pair; else interpolated: `compiled` kernels or `torch`."""
        if self.descriptor.radial == "direct":
            return "direct"
        return "torch" if kernels.library_for(self.descriptor.davg) is None else "compiled"

    def set_statistics(self, batches: Iterable[Batch], systems: Sequence[System]) -> None:
        """As Potential.set_statistics; also davg and dstd."""
        super().set_statistics(batches, systems)
        davg, dstd = self.descriptor.statistics(batches)
        if not self.spec.descriptor.set_davg_zero:
            self.descriptor.davg.copy_(davg)
        self.descriptor.dstd.copy_(dstd)

    def cover(self, closest: np.ndarray) -> None:
        """Let the nodes cover neighbours this close, Å; inf: no neighbour."""
        known = np.where(np.isinf(closest), USUAL_CLOSEST, closest).tolist()
        self.descriptor.nodes = Nodes.equally_many(known, NUMBERS[0])

    def begin_at_zero(self) -> None:
        """Set the weights of the last layer to zero."""
        nn.init.zeros_(self.fitting_nets.weight)
        nn.init.zeros_(self.fitting_nets.bias)

    def state(self) -> dict[str, Any]:
        """The nodes."""
        return {"nodes": asdict(self.descriptor.nodes)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state`."""
        self.descriptor.nodes = Nodes(**state["nodes"])

    def reordered(self, type_map: Sequence[str]) -> "DeepSpin":
        """As Potential.reordered."""
        order = [self.spec.type_map.index(name) for name in type_map]
        types = [*order, *(len(order) + t for t in order)]  # neighbour types: real ones, then virtual ones
        made = DeepSpin(_reordered(self.spec, type_map, order, types))
        centres = order[:1] if self.spec.descriptor.type_one_side else order
        embedding = [self.descriptor.net_number(*pair) for pair in product(centres, types)]
        with torch.no_grad():
            _copy(self.descriptor.embedding_nets, made.descriptor.embedding_nets, embedding)
            _copy(self.fitting_nets, made.fitting_nets, order)
            made.energy_bias.copy_(self.energy_bias[order])
            made.descriptor.davg.copy_(self.descriptor.davg[order])
            made.descriptor.dstd.copy_(self.descriptor.dstd[order])
        nodes = self.descriptor.nodes
        made.descriptor.nodes = Nodes(
            [nodes.closest[t] for t in order], [[nodes.numbers[t][j] for j in types] for t in order]
        )
        made.facts = self.facts
        return made

    def watched_parameters(self) -> list[nn.Parameter]:
        """The biases: every atom contributes to their gradients in every layer."""
        return [parameter for name, parameter in self.named_parameters() if name.endswith("bias")]

    def parts(self) -> dict[str, Part]:
        """The descriptor, and the fitting net of each element."""
        elements, nets = enumerate(self.spec.type_map), list(self.fitting_nets.parameters())
        descriptor = list(self.descriptor.parameters())
        return {"descriptor": (descriptor, ...), **{f"fitting_net_{name}": (nets, t) for t, name in elements}}

    def settled_in(self, model: Mapping[str, Any]) -> bool:
        """True only without interpolation: there was nothing to settle."""
        return bool(model["descriptor"]["radial"] != "direct")

    def settle(self, batch: Batch, averaged: bool = False) -> str | None:
        """Choose the number of nodes of each embedding net by the errors on the batch.

        averaged: never reduce it, since averaged weights also depend on earlier, rougher weights.
        """
        if self.descriptor.radial == "direct":
            return None
        errors = settle_nodes(self, batch, fewer=not averaged)
        return None if errors.within() else errors.too_large

    def not_recorded(self) -> str | None:
        """The direct evaluation cannot be recorded."""
        direct = self.descriptor.radial == "direct"
        return "model.descriptor.radial=direct sorts the pairs on the host" if direct else None

    def record_key(self) -> str:
        """The nodes."""
        return str(self.descriptor.nodes)

    def record_reads(self, elements: Sequence[int], closest: list[float]) -> object:
        """The grid of nodes."""
        return self.descriptor.grid_for(elements, closest)

    def approximation(self, batch: Batch) -> dict[str, Any]:
        """Number of nodes and errors of the interpolated embedding."""
        if self.descriptor.radial == "direct":
            return {"collocation": None}
        errors = collocation_errors(self, batch)
        print_line(errors.words)
        return {"collocation": asdict(errors)}

    def inference(self) -> list[InferencePart]:
        """One part. Raises InputError for an embedding that cannot be interpolated."""
        descriptor, nets = self.descriptor, self.fitting_nets
        settings = {
            **network_settings(descriptor, nets),
            "chunk": CHUNK,
            "beyond": BEYOND,
            "rounding": ROUNDING,
            "type_one_side": self.spec.descriptor.type_one_side,
            "closest": descriptor.nodes.closest,
        }
        arrays = {
            **{name: getattr(descriptor, name) for name in ("davg", "dstd", "sel")},
            "eta": self.virtual_scale,
            "seen": torch.from_numpy(self.spec.geometry.seen),
            "numbers": torch.tensor(_interpolated(descriptor)),
            "polynomials": lagrange_polynomials(STENCIL),
            **descriptor.embedding_nets.by_place("embedding"),
            **nets.hidden.by_place("fitting"),
            "last_weight": nets.weight,
            "last_bias": nets.bias,
        }
        return [InferencePart("deepspin", settings, arrays)]

    def exporters(self) -> dict[str, Exporter]:
        """deepmd-kit's .dp, and .pth if deepmd-kit is installed."""
        from spinpot.models.deepspin.deepmd.export import export

        return dict.fromkeys((".dp", ".pth"), partial(export, self))


def _copy(nets: nn.Module, to: nn.Module, order: list[int]) -> None:
    """Copy the parameters of stacked nets in another order."""
    for given, copied in zip(nets.parameters(), to.parameters(), strict=True):
        copied.copy_(given[order])


def _reordered(
    spec: DeepSpinSpec, type_map: Sequence[str], order: list[int], types: list[int]
) -> DeepSpinSpec:
    sel = cast(Sequence[int], spec.descriptor.sel)
    excluded = tuple(tuple(types.index(t) for t in pair) for pair in spec.descriptor.exclude_types)
    return replace(
        spec,
        type_map=tuple(type_map),
        descriptor=replace(spec.descriptor, sel=tuple(sel[t] for t in order), exclude_types=excluded),
        use_spin=tuple(spec.use_spin[t] for t in order),
        virtual_scale=tuple(spec.virtual_scale[t] for t in order),
    )


def _interpolated(descriptor: Descriptor) -> Numbers:
    """The numbers of nodes; for radial=direct, as many as make interpolation equally accurate."""
    if descriptor.radial != "direct":
        return descriptor.nodes.numbers
    name = descriptor.settings.activation_function
    if not is_smooth(name):
        raise InputError(
            f"model.descriptor.activation_function={name} is not smooth enough for the kernels, which "
            "interpolate the embedding. Use the checkpoint, by spinpot.load or spinpot.ase, or train with "
            "another activation, e.g. tanh."
        )
    numbers = exact_numbers(descriptor)
    error, most = largest_net_error(descriptor, numbers), max(map(max, numbers))
    if error > ROUGH:
        raise InputError(
            f"The embedding of this model (model.descriptor.radial=direct) cannot be interpolated exactly "
            f"enough for the kernels: with {most} nodes errors are {error:.0e}. Use the checkpoint, by "
            "spinpot.load or spinpot.ase."
        )
    print_line(
        f"radial=direct: the kernels interpolate the embedding between up to {most} nodes, with errors of "
        f"{error:.0e}."
    )
    return numbers
