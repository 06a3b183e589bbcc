"""Preloaded by this machine's own workers: Ctrl+C is for the process that leads the sweep, which ends them.

Those that take the place of a dead worker are started at any time, so each sees to it by itself.
"""

from __future__ import annotations

import signal


def dask_setup(_worker: object) -> None:
    """Called by Dask when a worker begins."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
