"""How far the trainer gives way to the screen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from femtotui.trainer.priority import NICENESS, SWITCH, niceness_wanted

pytestmark = pytest.mark.skipif(not hasattr(os, "nice"), reason="nice values are POSIX")

_SAY = """
import os
from pathlib import Path
from femtotui.trainer.priority import give_way
give_way(os.environ)
group = Path("/proc/self/autogroup")
print(os.getpriority(os.PRIO_PROCESS, 0), group.read_text() if group.exists() else "")
"""


def given_way(environment: dict[str, str], *, own_session: bool) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", _SAY],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
        start_new_session=own_session,
    )
    return done.stdout.split()


def ours() -> int:
    return os.getpriority(os.PRIO_PROCESS, 0)


def test_a_process_with_a_session_of_its_own_gives_way_with_its_whole_group() -> None:
    niceness, *group = given_way({SWITCH: "7"}, own_session=True)
    assert int(niceness) == min(ours() + 7, 19)
    if Path("/proc/self/autogroup").exists():
        assert group[-2:] == ["nice", niceness]


def test_a_session_that_is_shared_is_left_as_it_is() -> None:
    before = Path("/proc/self/autogroup").read_text() if Path("/proc/self/autogroup").exists() else ""
    niceness, *group = given_way({SWITCH: "7"}, own_session=False)
    assert int(niceness) == min(ours() + 7, 19)
    assert group == before.split()


def test_nothing_is_given_to_those_who_ask_for_nothing() -> None:
    niceness, *_ = given_way({SWITCH: "0"}, own_session=True)
    assert int(niceness) == ours()


def test_what_is_no_number_counts_as_not_said() -> None:
    for said in ("", "20", "-5", "much", "1e1", "٣", "9" * 5000):
        assert niceness_wanted({SWITCH: said}) == NICENESS
    assert niceness_wanted({}) == NICENESS
    assert niceness_wanted({SWITCH: " 3 "}) == 3
