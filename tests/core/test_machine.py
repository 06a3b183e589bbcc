"""Memory in plausible MiB, cheap enough for every step; the machine in words fit for a journal."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from femtotui.core.machine import available_mib, blas_description, describe_machine, peak_rss_mib, rss_mib


def test_memory_grows_with_what_is_held_and_the_peak_stays() -> None:
    before = rss_mib()
    held = np.ones(80 * 1024 * 1024 // 8)
    time.sleep(0.25)  # a figure may be 0.2 s old
    grown = rss_mib()
    assert 60 < grown - before < 120
    del held
    assert peak_rss_mib() >= grown


def test_free_memory_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    for mib in (3000, 1000):
        time.sleep(0.25)  # a figure may be 0.2 s old
        free = SimpleNamespace(available=mib * 1024 * 1024)
        monkeypatch.setattr(psutil, "virtual_memory", lambda free=free: free)
        assert available_mib() == mib


def test_a_child_does_not_inherit_its_parents_peak() -> None:
    held = np.ones(200 * 1024 * 1024 // 8)
    program = "from femtotui.core.machine import peak_rss_mib; print(peak_rss_mib())"
    shown = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert held.size
    assert 10 < float(shown.stdout) < 150


def test_the_machine_and_its_blas_in_words() -> None:
    assert re.fullmatch(r"\S.*, [1-9]\d* cores?", describe_machine())
    assert re.search(r"[A-Za-z]{3}", blas_description())
