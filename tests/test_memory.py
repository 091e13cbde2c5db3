"""The allocator takes the advice where there is one that can."""

from __future__ import annotations

import platform
import resource
import sys

import pytest
import torch

from forcefree.memory import keep_freed_memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the advice is glibc's")
def test_freed_memory_is_used_again_without_asking_the_kernel() -> None:
    assert keep_freed_memory()

    def faults() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(20):
            torch.ones(4 << 20)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    faults()
    assert faults() < 20 * (16 << 20) // 4096 / 4, "most pages must be old ones"


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_freed_memory() is False
