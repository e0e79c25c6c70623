"""Keeps freed memory in the process, so that the next training step can reuse it."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # of malloc.h
TRIM_ABOVE = 2_000_000_000  # bytes


def keep_freed_memory() -> None:
    """Tell glibc's malloc not to return large blocks to the system.

    By default it maps every large tensor anew and unmaps it when it is freed. Each step then has a page fault
    for every 4 kB it touches, which can take ten times as long as the step on virtual machines. Without glibc
    this does nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, TRIM_ABOVE)
        libc.mallopt(M_TOP_PAD, 64 * 1024 * 1024)
