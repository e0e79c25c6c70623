"""Where the program speaks, by the first process alone: results on stdout, progress on stderr."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from pytorch_lightning.utilities import rank_zero_only
from rich.console import Console
from rich.progress import track

T = TypeVar("T")

_others = getattr(rank_zero_only, "rank", 0) != 0

console = Console(highlight=False, quiet=_others)
progress_console = Console(stderr=True, quiet=_others)


def counted(items: Iterable[T], title: str, total: float | None = None) -> Iterable[T]:
    """The items, with a progress bar while they last, where somebody sees it. total: how many they are."""
    silent = not progress_console.is_terminal
    return track(items, title, total, console=progress_console, transient=True, disable=silent)
