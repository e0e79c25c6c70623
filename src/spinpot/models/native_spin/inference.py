"""The native-spin model as the kernels evaluate it without Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from spinpot.models.deepspin.inference import in_threes, of_activation
from spinpot.models.native_spin.compiled import OF_INVARIANTS
from spinpot.models.native_spin.groups import KINDS
from spinpot.models.potential import InferencePart

if TYPE_CHECKING:
    from spinpot.models.native_spin.potential import NativeSpin


def inference_part(potential: NativeSpin) -> InferencePart:
    """All of it."""
    invariants, nets = potential.invariants, potential.nets
    radial = invariants.radial
    settings: dict[str, Any] = {
        "radial": radial.number,
        "places": invariants.products.given + len(invariants.products.terms),
        "cutoff": radial.cutoff,
        "closest": radial.closest,
        "width": radial.width,
        "energy_scale": float(potential.energy_scale),
        **of_activation("", potential.spec.fitting_net.activation_function),
    }
    arrays: dict[str, Tensor] = {
        **{name: getattr(invariants, name) for name in OF_INVARIANTS},
        **{name: getattr(potential, name) for name in ("linear", "centre", "nearness")},
        "channels": torch.tensor([invariants.channels.get(kind, 0) for kind in KINDS]),
    }
    errors = potential.expected_errors
    if errors.usual.any():
        arrays |= {"whitening": errors.whitening, "usual": errors.usual}
        # Numbers of model files are finite: noise below zero is not known.
        arrays["noise"] = errors.noise.nan_to_num(-1.0)
    if nets is not None:
        arrays |= in_threes("hidden", nets.hidden.in_threes())
        arrays |= {"last_weight": nets.weight, "last_bias": nets.bias}
    return InferencePart("native_spin", settings, arrays)
