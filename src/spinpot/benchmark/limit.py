"""The arithmetic limit of a step: the time of its matrix products at the rate of large ones."""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, addmm_flop, baddbmm_flop

SIZES = {"cpu": 1000, "cuda": 4000}


def matrix_rate(dtype: torch.dtype, device: torch.device) -> float:
    """Floating-point operations per second of large matrix products, the best of several."""
    size = SIZES[device.type]
    a = torch.randn(size, size, dtype=dtype, device=device)
    seconds = []
    for _ in range(10):
        start = now()
        torch.mm(a, a)
        seconds.append(now() - start)
    return 2.0 * size**3 / min(seconds)


def now() -> float:
    """The current time, after all operations on a GPU have finished."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def matrix_operations(step: Callable[[], Any]) -> int:
    """Floating-point operations of torch's matrix products in a step; multiply and add count as two."""
    # torch's counter does not know these in-place operations.
    in_place = {
        torch.ops.aten.addmm_: lambda c, a, b, **_: addmm_flop(c, a, b),
        torch.ops.aten.baddbmm_: lambda c, a, b, **_: baddbmm_flop(c, a, b),
    }
    with FlopCounterMode(display=False, custom_mapping=in_place) as counter:
        step()
    return int(counter.get_total_flops())
