"""What is used for a moment counts until it is forgotten."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from forcefree.benchmark.peak_memory import forget_peak_memory, peak_memory


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere the peak cannot be forgotten")
def test_a_peak_is_seen_afterwards_and_then_forgotten() -> None:
    before = forget_peak_memory()
    held = np.ones(1 << 26)  # half a GiB
    assert held.sum() > 0
    del held
    assert 0.45 < peak_memory() - before < 0.6
    assert forget_peak_memory() - before < 0.1
