"""The long proofs, made short: each is a command of its own, which is run here with small numbers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills are arranged between forked processes")
def test_killed_at_twenty_random_moments_a_run_ends_with_the_same_bits() -> None:
    assert "bit for bit" in _proof("killing.py", "--kills", "20")


def test_two_hundred_damaged_files_are_refused_in_words_or_harmless() -> None:
    assert "refused in words" in _proof("fuzzing.py", "--files", "200", "--seed", "1")


def test_starting_switching_resuming_and_quitting_leaks_nothing() -> None:
    assert "nothing leaked" in _proof("cycling.py", "--cycles", "2")


def _proof(name: str, *arguments: str) -> str:
    result = subprocess.run(
        [sys.executable, FOLDER / name, *arguments], capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout
