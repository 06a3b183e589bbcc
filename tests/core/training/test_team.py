"""Threads that work together: everything is done once, faults come back, and nothing is left behind."""

from __future__ import annotations

import threading

import pytest

from femtotui.core.training.workers import Team


@pytest.mark.parametrize("size", [1, 2, 5])
def test_run_calls_every_thread_once(size):
    team = Team(size)
    seen = []
    for _ in range(3):
        team.run(seen.append)
    team.close()
    assert sorted(seen) == sorted(list(range(size)) * 3)


@pytest.mark.parametrize(("size", "n"), [(1, 4), (3, 7), (4, 2), (2, 0)])
def test_share_does_each_piece_once(size, n):
    team = Team(size)
    seen = []
    team.share(seen.append, n)
    team.close()
    assert sorted(seen) == list(range(n))


@pytest.mark.parametrize("culprit", [0, 2])
def test_a_fault_is_raised_where_the_work_was_given_and_the_team_lives_on(culprit):
    team = Team(3)

    def work(thread):
        if thread == culprit:
            raise ValueError(f"thread {thread}")

    with pytest.raises(ValueError, match=f"thread {culprit}"):
        team.run(work)
    seen = []
    team.run(seen.append)
    assert sorted(seen) == [0, 1, 2]
    team.close()


def test_closing_ends_the_threads_and_may_be_repeated():
    before = threading.active_count()
    team = Team(4)
    assert threading.active_count() == before + 3
    team.close()
    team.close()
    assert threading.active_count() == before
