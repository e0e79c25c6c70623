"""Guards backward passes that have no second derivatives."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch


def differentiable_once(backward: Callable[..., Any]) -> Callable[..., Any]:
    """A backward pass that raises RuntimeError when it is differentiated, instead of giving wrong results.

    torch's `once_differentiable` does not notice this if the given gradient is a constant.
    """

    @wraps(backward)
    def checked(ctx: Any, *by_outputs: Any) -> Any:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "There are no second derivatives with respect to the weights (create_graph=True): energies, "
                "forces and losses can be differentiated only once."
            )
        return backward(ctx, *by_outputs)

    return checked
