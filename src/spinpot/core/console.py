"""Output of the program, by the first process only: results on stdout, progress on stderr."""

import os
from collections.abc import Collection, Iterable, Iterator
from time import monotonic
from typing import TypeVar

from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from spinpot.core.closed_output import end_quietly

T = TypeVar("T")

RANK = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")
"""Environment variables with the rank, in the order in which Lightning reads them."""

PATIENCE = 10.0  # s between progress lines

_others = next((os.environ[name] for name in RANK if name in os.environ), "0") != "0"


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """End the command when nobody reads its output any more."""
        end_quietly()


console = _Console(highlight=False, quiet=_others)
progress_console = _Console(stderr=True, quiet=_others)


def print_table(
    title: str, columns: Iterable[str], rows: Iterable[Iterable[str]], words: Collection[str], note: str = ""
) -> None:
    """Print a table of texts. words: left-aligned columns; others are right-aligned. note: text below it."""
    table = Table(title=title, title_justify="left", caption=note or None)
    for column in columns:
        table.add_column(column, justify="left" if column in words else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def print_line(text: str) -> None:
    """Print a text unchanged, without markup or line wrapping."""
    console.print(text, markup=False, soft_wrap=True)


def counted(items: Iterable[T], title: str, total: float | None = None) -> Iterable[T]:
    """The items, with a progress bar on a terminal, else with a line every PATIENCE seconds.

    total: number of items, if known.
    """
    if progress_console.is_terminal:
        return track(items, title, total, console=progress_console, transient=True)
    return _with_lines(items, title, total)


def _with_lines(items: Iterable[T], title: str, total: float | None) -> Iterator[T]:
    said = begun = monotonic()
    for number, item in enumerate(items):
        if monotonic() > said + PATIENCE:
            said, of_all = monotonic(), f" of {total:,.0f}" if total else ""
            if number and total:
                of_all += f", about {duration((said - begun) / number * (total - number))} left"
            progress_console.print(f"{title}: {number:,}{of_all}", soft_wrap=True)
        yield item


def duration(seconds: float | None) -> str:
    """`12 ms`, `0.8 s`, `42 s`, `2 min 14 s`, `3 h 20 min`."""
    if seconds is None:
        return "–"
    if 0.0 < seconds < 0.05:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 59.5:
        return f"{seconds:.{1 if seconds < 10 else 0}f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, left = divmod(minutes, 60)
    return f"{hours} h {left} min" if hours else f"{minutes} min {rest} s"
