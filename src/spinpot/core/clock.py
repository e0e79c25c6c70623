"""Times between points of a program's work; on a GPU, which lags behind the program, of the GPU's work."""

import time

import torch

Mark = float | torch.cuda.Event


def mark(device: torch.device) -> Mark:
    """Where the device comes to when it has done what it was asked for so far."""
    if device.type != "cuda":
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def seconds(start: Mark, end: Mark) -> float:
    """The time between two marks; waits for a GPU to come to them."""
    if isinstance(start, float):
        assert isinstance(end, float)
        return end - start
    assert isinstance(end, torch.cuda.Event)
    end.synchronize()
    return float(start.elapsed_time(end)) / 1000.0
