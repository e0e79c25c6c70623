"""Learning-rate schedules: exponential, cosine and warm-up–stable–decay, each with a linear warm-up.

The formulas are those of deepmd-kit 3.2, so both programs follow the same learning rates.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from spinpot.core.errors import InputError


@dataclass(frozen=True)
class Schedule:
    """A learning rate that falls from start_lr, after the warm-up, to stop_lr at the last step.

    warmup_steps: number of steps in which the rate rises linearly from warmup_start_factor · start_lr.
    """

    start_lr: float = 1e-3
    stop_lr: float = 1e-6
    warmup_steps: int = 0
    warmup_start_factor: float = 0.0

    def factor(self, total_steps: int) -> Callable[[int], float]:
        """The function step → lr(step)/start_lr for a run of total_steps. Raises InputError like `check`."""
        self.check(total_steps)

        # A plain function, because LambdaLR would store an object's attributes in the checkpoint.
        def factor(step: int) -> float:
            if not total_steps:
                return 1.0
            if step < self.warmup_steps:
                rise = step / self.warmup_steps
                return self.warmup_start_factor + (1.0 - self.warmup_start_factor) * rise
            return self.decay(step - self.warmup_steps, total_steps)

        return factor

    def check(self, total_steps: int) -> None:
        """Raise InputError if the settings contradict each other. A run of 0 steps needs no warm-up check."""
        if not 0.0 < self.stop_lr <= self.start_lr:
            raise InputError(
                f"scheduler: start_lr={self.start_lr}, stop_lr={self.stop_lr}; "
                "expected 0 < stop_lr <= start_lr."
            )
        if total_steps and not 0 <= self.warmup_steps < total_steps:
            raise InputError(
                f"scheduler.warmup_steps={self.warmup_steps} must be >= 0 and smaller than "
                f"trainer.max_steps={total_steps}."
            )

    def remark(self, total_steps: int) -> str:
        """A note on a setting that is replaced by another value; "" if none is."""
        return ""

    def decay(self, step: int, total_steps: int) -> float:
        """lr/start_lr, `step` steps after the warm-up."""
        raise NotImplementedError

    @property
    def stop_factor(self) -> float:
        """stop_lr/start_lr."""
        return self.stop_lr / self.start_lr


@dataclass(frozen=True)
class Exponential(Schedule):
    """lr = start_lr · r^(t/decay_steps) with r such that stop_lr is reached at the last step.

    Unless `smooth`, the exponent is rounded down: the rate falls in stairs of decay_steps. As in deepmd-kit,
    a decay_steps as long as the run or longer is replaced by 1 % of the run, at most 100.
    """

    decay_steps: int = 5000
    smooth: bool = False

    def check(self, total_steps: int) -> None:
        """Raise InputError where the settings do not fit together."""
        super().check(total_steps)
        if self.decay_steps < 1:
            raise InputError(f"scheduler.decay_steps={self.decay_steps} must be at least 1.")

    def remark(self, total_steps: int) -> str:
        """A note if decay_steps is replaced."""
        stair = self._stair(total_steps)
        if stair == self.decay_steps:
            return ""
        return (
            f"scheduler.decay_steps={self.decay_steps} is not shorter than the run; spinpot uses {stair}, "
            "like deepmd-kit."
        )

    def _stair(self, total_steps: int) -> int:
        span = total_steps - self.warmup_steps
        if self.decay_steps < span:
            return self.decay_steps
        return 100 if span // 10 > 100 else span // 100 + 1

    def decay(self, step: int, total_steps: int) -> float:
        """lr/start_lr, `step` steps after the warm-up."""
        span, stair = total_steps - self.warmup_steps, self._stair(total_steps)
        exponent = step / stair if self.smooth else step // stair
        return float(max(self.stop_factor ** (exponent * stair / span), self.stop_factor))


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine from start_lr to stop_lr."""

    def decay(self, step: int, total_steps: int) -> float:
        """lr/start_lr, `step` steps after the warm-up."""
        progress = min(step / (total_steps - self.warmup_steps), 1.0)
        return _cosine(progress, self.stop_factor)


@dataclass(frozen=True)
class WarmupStableDecay(Schedule):
    """start_lr until the last decay_phase_ratio (a fraction) of the run, in which it falls to stop_lr."""

    decay_phase_ratio: float = 0.1
    decay_type: Literal["inverse_linear", "cosine", "linear"] = "inverse_linear"

    def check(self, total_steps: int) -> None:
        """Raise InputError where the settings do not fit together."""
        super().check(total_steps)
        if not 0.0 < self.decay_phase_ratio <= 1.0:
            raise InputError(f"scheduler.decay_phase_ratio={self.decay_phase_ratio} must lie in (0, 1].")

    def decay(self, step: int, total_steps: int) -> float:
        """lr/start_lr, `step` steps after the warm-up."""
        span = total_steps - self.warmup_steps
        falling = max(1, min(int(self.decay_phase_ratio * total_steps), span))
        progress = min(max((step - (span - falling)) / falling, 0.0), 1.0)
        if self.decay_type == "inverse_linear":
            return 1.0 / (progress / self.stop_factor + 1.0 - progress)
        if self.decay_type == "cosine":
            return _cosine(progress, self.stop_factor)
        return 1.0 + (self.stop_factor - 1.0) * progress


def _cosine(progress: float, stop: float) -> float:
    return stop + 0.5 * (1.0 - stop) * (1.0 + math.cos(math.pi * progress))
