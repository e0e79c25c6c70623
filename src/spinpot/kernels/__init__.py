"""The dearest parts of a step, compiled: a C++ library on plain arrays (interface.h), called by ctypes.

It is optional. Without it torch's operations, and vesin for pairs, give the same; tests hold the two equal.
"""

from spinpot.kernels.library import build, checked, library, library_for, without

__all__ = ["build", "checked", "library", "library_for", "without"]
