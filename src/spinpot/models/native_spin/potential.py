"""Native spins: E_i = ε [w·z_i + net(z_i)] of invariants z of the neighbours' directions and moments."""

import copy
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from spinpot import kernels
from spinpot.data.batch import Batch
from spinpot.data.systems import System
from spinpot.models.deepspin.activations import of_activation
from spinpot.models.deepspin.fitting import FittingNet, energy_and_gradient
from spinpot.models.deepspin.networks import ResidualLayer, ResidualNet, normal_parameter
from spinpot.models.derivatives import Derivatives
from spinpot.models.native_spin.compiled import OF_INVARIANTS, Model
from spinpot.models.native_spin.fit import Left, begin_linear, calibrate, refit_bias
from spinpot.models.native_spin.groups import KINDS
from spinpot.models.native_spin.invariants import Invariants
from spinpot.models.native_spin.spec import NativeSpinSpec
from spinpot.models.native_spin.statistics import bounds, settle_invariants
from spinpot.models.native_spin.uncertainty import Uncertainty
from spinpot.models.potential import Exporter, InferencePart, Part, Potential, refusal
from spinpot.models.start import TrainingLabels

USUAL_SCALE = 0.01
"""ε in eV, if the energies do not determine it."""
SAME = {"energy_scale", "expected_errors.usual", "expected_errors.noise"}
"""Entries of the state that have no element dimension."""
OF_NEIGHBOURS = {"invariants.mixing"}
"""Entries with two element dimensions: first the centre's, second the neighbour's × radial functions."""
COLUMNS = "expected_errors.whitening"
"""Its rows are the columns of the least squares: the weights of each element, then the elements' energies."""


class NativeSpin(Potential):
    """A potential linear in invariants, plus one net per element."""

    spec_type = NativeSpinSpec
    not_exported = (
        "deepmd-kit has no native-spin model, so its formats cannot hold this one. Use it through "
        "spinpot.load or spinpot.ase; models of the kind deepspin can be exported."
    )
    spec: NativeSpinSpec
    energy_scale: Tensor
    centre: Tensor
    nearness: Tensor

    def __init__(self, spec: NativeSpinSpec, seed: int = 0) -> None:
        super().__init__(spec, seed)
        self.seed = seed
        self.invariants = Invariants(spec)
        elements, size = len(spec.type_map), self.invariants.size
        self.linear = nn.Parameter(
            torch.zeros(elements, size, dtype=torch.float64), requires_grad=spec.linear == "free"
        )
        # The nets' input is centre + d/√(1 + nearness d²), d = z − centre (native_spin.statistics).
        for name in ("centre", "nearness"):
            self.register_buffer(name, torch.zeros(elements, size, dtype=torch.float64))
        self.expected_errors = Uncertainty(elements, size)
        self.register_buffer("energy_scale", torch.tensor(USUAL_SCALE, dtype=torch.float64))
        self.nets = (
            fresh_nets(spec, size, torch.Generator().manual_seed(seed)) if spec.fitting_net.neuron else None
        )

    def derivatives(self, batch: Batch, differentiable: bool) -> Derivatives:
        """Energies from the invariants, and back through these to pair vectors and moments."""
        if self.evaluation() == "compiled":
            return self._compiled(batch).derivatives(differentiable)
        with torch.enable_grad():
            vector = batch.pair_vector.double().detach().requires_grad_()
            spin = self.invariants.moments(batch).detach().requires_grad_()
            z = self.invariants.normalised(batch, vector, spin)
            energy, by_z = self.of_invariants(z.detach(), batch.type_sizes)
            by_vector, by_spin = torch.autograd.grad(
                z, (vector, spin), by_z, create_graph=differentiable, materialize_grads=True
            )
        force = torch.zeros_like(spin).index_add(0, batch.pair_centre, by_vector)
        force = force.index_add(0, batch.pair_neighbour, -by_vector)
        strain = by_vector.unsqueeze(-1) * vector.detach().unsqueeze(-2)
        virial = strain.new_zeros(batch.n_frames, 3, 3).index_add(0, batch.pair_frame, -strain)
        force_mag = -by_spin * self.invariants.magnetic[batch.types].unsqueeze(-1)
        return Derivatives(energy[batch.atom_place], force, force_mag, virial)

    def energies(self, batch: Batch) -> Tensor:
        """As Potential.energies; the kernels skip the derivatives."""
        if self.evaluation() == "compiled":
            return self._compiled(batch).energies()
        return super().energies(batch)

    def _compiled(self, batch: Batch) -> Model:
        of_energy = {name: getattr(self, name) for name in ("linear", "centre", "nearness")}
        of_energy["energy_scale"] = float(self.energy_scale)
        return Model(self.invariants, batch, of_energy, self.nets)

    def evaluation(self) -> str:
        """`compiled` kernels or `torch`."""
        return "compiled" if kernels.library_for(self.linear) else "torch"

    def of_invariants(self, z: Tensor, sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Energies (A,), eV, and ∂E/∂z (A, P) of atoms sorted by element, `sizes` of each."""

        def of_atoms(values: Tensor) -> Tensor:
            return torch.cat([row.expand(size, -1) for row, size in zip(values, sizes, strict=True)])

        weights = of_atoms(self.linear)
        energy, by_z = (weights * z).sum(-1), weights
        if self.nets is not None:
            centre, nearness = of_atoms(self.centre), of_atoms(self.nearness)
            away = z - centre
            shrink = (1.0 + nearness * away.square()).rsqrt()
            seen = (centre + shrink * away).to(self.nets.weight.dtype)
            net, slope = energy_and_gradient(self.nets, seen, sizes)
            energy = energy + net
            by_z = by_z + shrink**3 * slope
        return self.energy_scale * energy, self.energy_scale * by_z

    def set_precision(self, dtype: torch.dtype) -> Self:
        """Cast the nets; the invariants stay in float64."""
        if self.nets is not None:
            self.nets.to(dtype)
        return self

    def set_statistics(self, batches: Iterable[Batch], systems: Sequence[System]) -> None:
        """As Potential.set_statistics; also channels, means and scales of the invariants, ε, and bounds."""
        super().set_statistics(batches, systems)
        jitter = settle_invariants(self.invariants, self.spec.geometry, systems, self.seed)
        self.energy_scale.fill_(energy_scale(systems, self.energy_bias.numpy()))
        if self.nets is not None:
            centre, nearness = bounds(self.invariants, self.spec.geometry, systems, jitter, self.seed)
            self.centre.copy_(centre)
            self.nearness.copy_(nearness)

    def start(self, labels: TrainingLabels) -> list[str]:
        """Initialise the linear part by least squares."""
        lines = begin_linear(self, labels)
        calibrate(self, labels)
        return lines

    def end(self, labels: TrainingLabels) -> None:
        """Refit the energy bias, and calibrate the expected errors."""
        refit_bias(self, labels)
        calibrate(self, labels)

    @torch.no_grad()
    def uncertainty(self, batch: Batch) -> dict[str, Tensor] | None:
        """As Potential.uncertainty, from the normal equations of the least squares."""
        return self.expected_errors(self.invariants, self.energy_scale, batch)  # type: ignore[no-any-return]

    @torch.no_grad()
    def drawn(self, generator: torch.Generator) -> "NativeSpin | None":
        """As Potential.drawn, for the linear part; the spread is that of the magnetic forces' errors."""
        if (change := self.expected_errors.drawn(self.linear.numel(), generator)) is None:
            return None
        made = copy.deepcopy(self)
        made.linear.add_(change.view_as(made.linear))
        return made

    @torch.no_grad()
    def features(self, batch: Batch) -> Tensor:
        """The invariants z."""
        vector, spin = batch.pair_vector.double(), self.invariants.moments(batch)
        return self.invariants.normalised(batch, vector, spin)[batch.atom_place]

    def begin_at_zero(self) -> None:
        """Set the linear part and the nets' output to zero."""
        nn.init.zeros_(self.linear)
        if self.nets is not None:
            nn.init.zeros_(self.nets.weight)
            nn.init.zeros_(self.nets.bias)

    def parts(self) -> dict[str, Part]:
        """The net of each element, and the linear part if it is trained."""
        weights = {"linear": [self.linear]} if self.linear.requires_grad else {}
        if self.nets is not None:
            weights["net"] = list(self.nets.parameters())
        elements = list(enumerate(self.spec.type_map))
        return {f"{name}_{element}": (own, t) for name, own in weights.items() for t, element in elements}

    def inference(self) -> list[InferencePart]:
        """One part."""
        invariants, nets, errors = self.invariants, self.nets, self.expected_errors
        radial = invariants.radial
        settings: dict[str, Any] = {
            "radial": radial.number,
            "places": invariants.products.given + len(invariants.products.terms),
            "cutoff": radial.cutoff,
            "closest": radial.closest,
            "width": radial.width,
            "energy_scale": float(self.energy_scale),
            **of_activation("", self.spec.fitting_net.activation_function),
        }
        arrays: dict[str, Tensor] = {
            **{name: getattr(invariants, name) for name in OF_INVARIANTS},
            **{name: getattr(self, name) for name in ("linear", "centre", "nearness")},
            "channels": torch.tensor([invariants.channels.get(kind, 0) for kind in KINDS]),
        }
        if errors.usual.any():
            arrays |= {"whitening": errors.whitening, "usual": errors.usual}
            # Model files hold only finite numbers: negative noise stands for unknown noise.
            arrays["noise"] = errors.noise.nan_to_num(-1.0)
        if nets is not None:
            arrays |= nets.hidden.by_place("hidden")
            arrays |= {"last_weight": nets.weight, "last_bias": nets.bias}
        return [InferencePart("native_spin", settings, arrays)]

    def exporters(self) -> dict[str, Exporter]:
        """Exporters that raise InputError with the reason."""
        return dict.fromkeys((".dp", ".pth"), refusal(self.not_exported))

    def reordered(self, type_map: Sequence[str]) -> "NativeSpin":
        """As Potential.reordered."""
        order = [self.spec.type_map.index(name) for name in type_map]
        use_spin = tuple(self.spec.use_spin[t] for t in order)
        made = NativeSpin(replace(self.spec, type_map=tuple(type_map), use_spin=use_spin))
        moved = {name: self._moved(name, values, order) for name, values in self.state_dict().items()}
        made.load_state_dict(moved)
        made.facts = self.facts
        return made

    def _moved(self, name: str, values: Tensor, order: Sequence[int]) -> Tensor:
        """An entry of the state, for another order of the elements."""
        if name in SAME:
            return values
        if name == COLUMNS:
            size = self.invariants.size
            weights, energies = values.split((len(order) * size, len(order)))
            return torch.cat((weights.unflatten(0, (-1, size))[order].flatten(0, 1), energies[order]))
        own = values[order]
        return own.unflatten(1, (len(order), -1))[:, order].flatten(1, 2) if name in OF_NEIGHBOURS else own


def fresh_nets(spec: NativeSpinSpec, size: int, generator: torch.Generator) -> FittingNet:
    """Stacked nets with zero output: W ~ N(0, 1/n_in), b ~ N(0, ¼), time steps idt = ½."""
    name, widths = spec.fitting_net.activation_function, (size, *spec.fitting_net.neuron)

    def layer(n_in: int, n_out: int) -> ResidualLayer:
        weight = normal_parameter((n_in, n_out), 0.0, 1.0 / math.sqrt(n_in), generator)
        bias = normal_parameter((n_out,), 0.0, 0.5, generator)
        idt = normal_parameter((n_out,), 0.5, 0.0, generator) if n_out in (n_in, 2 * n_in) else None
        return ResidualLayer(weight, bias, idt, name)

    def net() -> FittingNet:
        hidden = ResidualNet(*(layer(*pair) for pair in pairwise(widths)))
        zeros = (nn.Parameter(torch.zeros(shape, dtype=torch.float64)) for shape in ((widths[-1], 1), (1,)))
        return FittingNet(hidden, *zeros)

    return FittingNet.side_by_side([net() for _ in spec.type_map])


def energy_scale(systems: Sequence[System], bias: np.ndarray) -> float:
    """ε, eV: robust standard deviation of (energy − bias)/√N over frames of N atoms."""
    parts = [
        (system.energy - bias[system.types].sum()) / math.sqrt(system.n_atoms)
        for system in systems
        if system.energy is not None
    ]
    if not parts:
        return USUAL_SCALE
    left = np.concatenate(parts)
    usual = torch.from_numpy(left - np.median(left)).abs().unsqueeze(-1)
    scale = float(left[(Left(usual, usual).weights() == 1.0).numpy()].std())
    return scale if scale > 1e-6 else USUAL_SCALE
