"""DeepSPIN as the kernels evaluate it without Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from spinpot.core.console import print_line
from spinpot.core.errors import InputError
from spinpot.models.deepspin.collocation import BEYOND, CHUNK, ROUNDING, STENCIL, lagrange_polynomials
from spinpot.models.deepspin.collocation_check import Numbers, exact_numbers, largest_net_error
from spinpot.models.deepspin.compiled import network_settings
from spinpot.models.deepspin.descriptor import Descriptor
from spinpot.models.deepspin.settings import is_smooth
from spinpot.models.potential import InferencePart

if TYPE_CHECKING:
    from spinpot.models.deepspin.potential import DeepSpin

ROUGH = 1e-11
"""Of a net's values: a larger error of interpolation is more than rounding."""


def inference_part(potential: DeepSpin) -> InferencePart:
    """All of it. Raises InputError for an embedding that cannot be interpolated."""
    descriptor = potential.descriptor
    arrays = {
        **{name: getattr(descriptor, name) for name in ("davg", "dstd", "sel")},
        "eta": potential.virtual_scale,
        "seen": torch.from_numpy(potential.spec.geometry.seen),
        "numbers": torch.tensor(_nodes(descriptor)),
        "polynomials": lagrange_polynomials(STENCIL),
        **in_threes("embedding", descriptor.embedding_nets.in_threes()),
        **in_threes("fitting", potential.fitting_nets.hidden.in_threes()),
        "last_weight": potential.fitting_nets.weight,
        "last_bias": potential.fitting_nets.bias,
    }
    return InferencePart("deepspin", _settings(potential), arrays)


def in_threes(name: str, weights: list[Tensor]) -> dict[str, Tensor]:
    """W, b and idt of each layer by their numbers, those without numbers left out."""
    return {f"{name}.{place}": weight for place, weight in enumerate(weights) if weight.numel()}


def _settings(potential: DeepSpin) -> dict[str, Any]:
    return {
        **network_settings(potential.descriptor, potential.fitting_nets),
        "chunk": CHUNK,
        "beyond": BEYOND,
        "rounding": ROUNDING,
        "type_one_side": potential.spec.descriptor.type_one_side,
        "closest": potential.descriptor.nodes.closest,
    }


def _nodes(descriptor: Descriptor) -> Numbers:
    """Those it has; without interpolation as many as are as good as the direct evaluation."""
    if descriptor.radial != "direct":
        return descriptor.nodes.numbers
    name = descriptor.settings.activation_function
    if not is_smooth(name):
        raise InputError(
            f"model.descriptor.activation_function={name} has kinks, of its slope at least, and the kernels "
            "interpolate the embedding. Use the checkpoint, by spinpot.load or spinpot.ase, or train with "
            "another activation, e.g. tanh."
        )
    numbers = exact_numbers(descriptor)
    error, most = largest_net_error(descriptor, numbers), max(map(max, numbers))
    if error > ROUGH:
        raise InputError(
            f"The embedding, which model.descriptor.radial=direct evaluates for each pair, cannot be "
            f"interpolated as exactly: with {most} nodes errors are {error:.0e}. Use the checkpoint, by "
            "spinpot.load or spinpot.ase."
        )
    print_line(
        f"radial=direct: the kernels interpolate the embedding between up to {most} nodes, with errors of "
        f"{error:.0e}."
    )
    return numbers
