"""Activation functions with first and second derivatives, which forces and their training need."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Activation:
    """A function. value: f(x); slope: f' from x and f; curvature: f'' from x, f and f'."""

    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor, Tensor], Tensor]
    curvature: Callable[[Tensor, Tensor, Tensor], Tensor]
    smooth: bool = True


def _gelu_inner(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The tanh t = tanh(k (x + c x³)) and the first two derivatives of its argument."""
    k, c = math.sqrt(2.0 / math.pi), 0.044715
    return torch.tanh(k * x * (1.0 + c * x * x)), k * (1.0 + 3.0 * c * x * x), 6.0 * k * c * x


def _gelu_slope(x: Tensor, y: Tensor) -> Tensor:
    t, du, _ = _gelu_inner(x)
    return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * du


def _gelu_curvature(x: Tensor, y: Tensor, dy: Tensor) -> Tensor:
    t, du, ddu = _gelu_inner(x)
    return (1.0 - t * t) * (du + 0.5 * x * (ddu - 2.0 * t * du * du))


def _silu_slope(x: Tensor, y: Tensor) -> Tensor:
    p = torch.sigmoid(x)
    return p + y * (1.0 - p)


def _silu_curvature(x: Tensor, y: Tensor, dy: Tensor) -> Tensor:
    p = torch.sigmoid(x)
    return p * (1.0 - p) * (2.0 + x * (1.0 - 2.0 * p))


def _none(x: Tensor, y: Tensor, dy: Tensor) -> Tensor:
    return torch.zeros_like(x)


ACTIVATIONS = {
    "tanh": Activation(torch.tanh, lambda x, y: 1.0 - y * y, lambda x, y, dy: -2.0 * y * dy),
    "gelu": Activation(lambda x: F.gelu(x, approximate="tanh"), _gelu_slope, _gelu_curvature),
    "relu": Activation(F.relu, lambda x, y: (x > 0).to(x.dtype), _none, smooth=False),
    "relu6": Activation(F.relu6, lambda x, y: ((x > 0) & (x < 6)).to(x.dtype), _none, smooth=False),
    "silu": Activation(F.silu, _silu_slope, _silu_curvature),
    "softplus": Activation(F.softplus, lambda x, y: torch.sigmoid(x), lambda x, y, dy: dy * (1.0 - dy)),
    "sigmoid": Activation(torch.sigmoid, lambda x, y: y * (1.0 - y), lambda x, y, dy: dy * (1.0 - 2.0 * y)),
    "linear": Activation(lambda x: x, lambda x, y: torch.ones_like(x), _none),
}
SILUT = "silut"
"""`silut` or `silut:THRESHOLD` (default 3): silu below the threshold, a tanh above it."""
NOT_SMOOTH = (*(name for name, known in ACTIVATIONS.items() if not known.smooth), SILUT)


def activation(name: str) -> Activation:
    """The activation function of a name. Raises KeyError for an unknown name."""
    kind, threshold = kind_and_threshold(name)
    return ACTIVATIONS[kind] if threshold is None else silut(threshold)


def kind_and_threshold(name: str) -> tuple[str, float | None]:
    """The name without the threshold, and silut's threshold (else None). Raises KeyError for a wrong name."""
    kind, _, number = name.partition(":")
    if kind != SILUT:
        return name, None
    try:
        threshold = float(number or 3.0)
    except ValueError:
        raise KeyError(name) from None
    if not math.isfinite(threshold):
        raise KeyError(name)
    return SILUT, threshold


def of_activation(prefix: str, name: str) -> dict[str, Any]:
    """The kernels' settings of a function; the threshold is 0 if it has none."""
    kind, threshold = kind_and_threshold(name)
    return {f"{prefix}activation": kind, f"{prefix}threshold": threshold or 0.0}


def silut(threshold: float) -> Activation:
    """Silu(x) below the threshold t; silu(t) + tanh(silu'(t) (x − t)) from there on. As in deepmd-kit."""
    sigmoid = 1.0 / (1.0 + math.exp(-threshold))
    rise = sigmoid + threshold * sigmoid * (1.0 - sigmoid)

    def above(x: Tensor) -> Tensor:
        return torch.tanh(rise * (x - threshold))

    def value(x: Tensor) -> Tensor:
        return torch.where(x >= threshold, above(x) + threshold * sigmoid, F.silu(x))

    def slope(x: Tensor, y: Tensor) -> Tensor:
        return torch.where(x >= threshold, rise * (1.0 - above(x) ** 2), _silu_slope(x, F.silu(x)))

    def curvature(x: Tensor, y: Tensor, dy: Tensor) -> Tensor:
        return torch.where(x >= threshold, -2.0 * rise * above(x) * dy, _silu_curvature(x, y, dy))

    return Activation(value, slope, curvature, smooth=False)
