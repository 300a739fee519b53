"""How the parts of a large handler are compiled, so that a cold start stays short.

A function with ``njit(cache=True)`` is optimised, turned into machine code and wrapped for Python
together with everything that it calls. For a tree of a hundred small functions that is done over
and over, once a level. So a large handler has a few doors, compiled in full and cached, and behind
them two kinds of parts:

* :data:`inlined`: copied into its caller before typing; for what is small or called once;
* :data:`internal`: compiled once, callable from compiled code only, not cached on its own (the
  machine code of a cached door contains it; the cache folder is keyed by all sources).

Both are plain functions when numba is switched off. Measured on simulated matching: 28 s cold with
every function a door, 9 s so. A constant that is passed to an internal function should be a
``numpy.int64``: numba compiles a function anew for every plain int constant that it is given.
"""

from __future__ import annotations

from numba import njit

inlined = njit(nogil=True, inline="always")
"""Decorator of a part that is copied into its callers."""

internal = njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""Decorator of a part that only compiled code calls."""
