"""Trainers that give way to the screen and to everything else, for those who want that.

By default they do not: keys were answered as fast without it (tests/bench/keys.py), and beside other busy
programs a trainer that gives way hardly moves.

On Linux a nice value counts only among the processes of one session where the kernel groups processes by
session ("autogroup", sched(7)), as it does on most desktops. A trainer has a session of its own, so there the
group is given the same value. Windows has no nice values: nothing is done there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

SWITCH = "FEMTOTUI_NICE"
"""Environment: how far the app's trainers give way, 0 (not at all) to 19."""

NICENESS = 0
_MOST = 19
_TRIES, _RETRY_SECONDS = 5, 0.11
_AUTOGROUP = Path("/proc/self/autogroup")


def niceness_wanted(environment: Mapping[str, str]) -> int:
    """What SWITCH says; what is no number from 0 to 19 counts as not said."""
    said = environment.get(SWITCH, "").strip()
    if said.isascii() and said.isdigit() and int(said[:3]) <= _MOST:
        return int(said)
    return NICENESS


def give_way(environment: Mapping[str, str]) -> None:
    """Lowers the priority of this thread and of all that it starts from here on."""
    by = niceness_wanted(environment)
    if not by or not hasattr(os, "nice"):
        return
    with suppress(OSError):
        niceness = os.nice(by)
        if os.getsid(0) == os.getpid():  # a session that is shared is not ours to slow down
            _set_group(niceness)


def _set_group(niceness: int) -> None:
    """Raises: OSError, also where there are no such groups."""
    for _ in range(_TRIES):
        try:
            _AUTOGROUP.write_text(str(niceness), "ascii")
        except BlockingIOError:  # some other process has just done the same: Linux wants a tenth of a second
            time.sleep(_RETRY_SECONDS)
        else:
            return
