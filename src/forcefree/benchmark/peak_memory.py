"""How much memory this program has used at most, counted from a moment of choice."""

from __future__ import annotations

import contextlib
import ctypes
import resource
from pathlib import Path


def forget_peak_memory() -> float:
    """Return freed memory to the system, count the peak anew from here (on Linux), and say where it stands, GiB."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return peak_memory()


def peak_memory() -> float:
    """GiB; from the kernel's count for this program where there is one, as getrusage also counts the parent before exec."""
    with contextlib.suppress(OSError):
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return float(status.split("VmHWM:")[1].split()[0]) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
