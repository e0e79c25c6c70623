"""Lightning's profiler that measures nothing."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from pytorch_lightning.profilers import PassThroughProfiler


class NoProfiler(PassThroughProfiler):
    """As Lightning's, without the generator that it makes for each call of a hook."""

    def profile(self, action_name: str) -> AbstractContextManager[str]:  # type: ignore[override]
        """Do nothing."""
        return nullcontext(action_name)
