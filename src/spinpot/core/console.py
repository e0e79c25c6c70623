"""Where the program speaks, by the first process alone: results on stdout, progress on stderr."""

from __future__ import annotations

from pytorch_lightning.utilities import rank_zero_only
from rich.console import Console

_others = getattr(rank_zero_only, "rank", 0) != 0

console = Console(highlight=False, quiet=_others)
progress_console = Console(stderr=True, quiet=_others)
