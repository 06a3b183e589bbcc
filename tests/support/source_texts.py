"""A text to split, keep and send, and what the command that a source names writes."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = b"".join(b"line %d of the text\n" % i for i in range(4000))


def run_command(command: str) -> bytes:
    """Run `python3 SCRIPT ... > dataset.txt` from the repository's root, its output taken instead."""
    program, *arguments = shlex.split(command.removesuffix(" > dataset.txt"))
    assert program == "python3"
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, check=True).stdout
