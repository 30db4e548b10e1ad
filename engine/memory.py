"""Keeping freed memory: messages of some hundred kilobytes come and go thousands of times a second.

Enters: nothing. Leaves: a C allocator that keeps what is freed instead of giving it back to the kernel, which would
have to fill every page with zeros again for the next message. Invariant: only speed and resident memory change.

Measured on two cores: a client that receives 640 KB messages takes 25-30 % less CPU time (57 page faults a message
become 3). Elsewhere than on glibc nothing happens.
"""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h

KEPT_BYTES = 256 * 2**20
_STEP_BYTES = 16 * 2**20
_MAPPED_BYTES = 32 * 2**20  # the most that glibc takes


def keep_freed() -> bool:
    """Let this process keep up to KEPT_BYTES of freed memory. For the entry of a process; returns whether it will."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # not glibc
        return False
    settings = (
        (_M_TRIM_THRESHOLD, KEPT_BYTES),
        (_M_TOP_PAD, _STEP_BYTES),
        (_M_MMAP_THRESHOLD, _MAPPED_BYTES),
    )
    return all(mallopt(setting, value) == 1 for setting, value in settings)
