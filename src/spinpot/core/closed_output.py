"""Ends a command quietly when the program that reads its output has ended, such as `| head`."""

import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


def end_quietly() -> NoReturn:
    """Exit with the code of SIGPIPE, as other programs do. Python cannot print anything any more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes stdout at exit
    sys.exit(128 + signal.SIGPIPE)


def nobody_reads() -> bool:
    """Whether stdout or stderr is a pipe whose reader has ended."""
    poll = select.poll()
    for stream in filter(None, (sys.stdout, sys.stderr)):  # None if the shell has closed it
        poll.register(stream, 0)  # errors are always reported
    return bool(poll.poll(0))


@contextmanager
def output_may_close() -> Iterator[None]:
    """End quietly if a print within the block fails because nobody reads the output any more.

    Another broken pipe, such as that of a logger, is raised.
    """
    try:
        try:
            yield
        finally:
            if sys.stdout:
                sys.stdout.flush()
    except BrokenPipeError:
        if not nobody_reads():
            raise
        end_quietly()
