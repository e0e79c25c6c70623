"""Derivatives that are written out, and have no second ones."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch


def differentiable_once(backward: Callable[..., Any]) -> Callable[..., Any]:
    """A backward pass that refuses to be differentiated itself, in place of doing so wrongly.

    torch's own `once_differentiable` lets pass what is wrong too, where the given gradient is a constant.
    """

    @wraps(backward)
    def checked(ctx: Any, *by_outputs: Any) -> Any:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "There are no second derivatives by the weights (create_graph=True): energies, forces and "
                "losses can be differentiated once."
            )
        return backward(ctx, *by_outputs)

    return checked
