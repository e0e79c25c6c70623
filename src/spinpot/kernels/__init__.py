"""Compiled kernels for the slowest parts of a step: a C++ library on plain arrays (interface.h), called by
ctypes.

The kernels are optional. Without them, torch's operations, and vesin for pairs, give the same results; tests
compare the two.
"""

from spinpot.kernels.library import build, checked, library, library_for, without

__all__ = ["build", "checked", "library", "library_for", "without"]
