"""Keep freed memory in the process, where a training step finds it again."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # of malloc.h
TRIM_ABOVE = 2_000_000_000  # bytes


def keep_freed_memory() -> None:
    """Tell glibc's malloc not to give large blocks back to the system each time.

    By default it maps every large tensor afresh and unmaps it when it is freed, so that each step pays a page
    fault for every 4 kB it touches: up to ten times the step's own time on virtual machines. Elsewhere than
    on Linux with glibc this does nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, TRIM_ABOVE)
        libc.mallopt(M_TOP_PAD, 64 * 1024 * 1024)
