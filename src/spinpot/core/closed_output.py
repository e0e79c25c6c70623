"""Ends a command quietly when the program that reads its output has ended, such as `| head`."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


def end_quietly() -> NoReturn:
    """Exit with the code of SIGPIPE, as other programs do. Python cannot print anything any more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes stdout at exit
    sys.exit(128 + signal.SIGPIPE)


@contextmanager
def output_may_close() -> Iterator[None]:
    """End quietly if a print within the block fails because nobody reads the output any more."""
    try:
        try:
            yield
        finally:
            if sys.stdout:  # None if the shell has closed it
                sys.stdout.flush()
    except BrokenPipeError:
        end_quietly()
