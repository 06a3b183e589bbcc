"""Sweeps on a real scheduler and real workers, with everything that can die dying."""

from __future__ import annotations

import csv
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from dask_processes import Cluster, SweepProcess, femtotui, preset_file

from femtotui.core.run_folder.catalog import find_run, list_runs

STEPS = 500
OFTEN = ("--set", "eval_every=25", "--set", "checkpoint_seconds=0.05")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    started = Cluster(tmp_path)
    yield started
    started.close()


def losses(run: Path) -> list[str]:
    with (run / "metrics.csv").open() as file:
        return [row["loss"] for row in csv.DictReader(file)]


def undisturbed(folder: Path, preset: str, seed: int) -> list[str]:
    runs = folder / "undisturbed"
    command = femtotui("train", preset, "--seed", str(seed), "--threads", "1", "--runs", str(runs))
    subprocess.run(command, check=True, capture_output=True)
    return losses(list_runs(runs)[0].path)


def is_under_way(event: dict) -> bool:
    return event["event"] == "run_reported" and event["eval_step"] > 0


def test_a_killed_worker_costs_nothing_and_a_failing_run_only_itself(
    tmp_path: Path, cluster: Cluster
) -> None:
    preset, runs = preset_file(tmp_path, steps=STEPS), tmp_path / "runs"
    for name in ("one", "two"):
        cluster.add_worker(name, cache=tmp_path / "shared")
    cluster.wait_for_workers()
    # The second context is longer than the text: that run fails.
    sweep = SweepProcess(runs, preset, "--set", "context=16,4000", *OFTEN, *cluster.options)
    hit = sweep.until(is_under_way)
    worker = hit["worker"].split()[0]
    cluster.workers[worker].send_signal(signal.SIGKILL)
    code, said = sweep.end()
    outcomes = sweep.outcomes()

    assert code == 2, said
    assert (outcomes[0]["state"], outcomes[0]["step"]) == ("finished", STEPS)
    assert outcomes[0]["note"].startswith(f"worker {worker} tcp://127.0.0.1:")
    assert " was lost; continued from step " in outcomes[0]["note"]
    assert losses(find_run(runs, outcomes[0]["run"])) == undisturbed(tmp_path, preset, seed=0)
    assert outcomes[1]["state"] == "failed"
    assert "a context of 4,000 needs at least" in outcomes[1]["reason"]


def test_without_the_dead_worker_s_disk_its_run_restarts(tmp_path: Path, cluster: Cluster) -> None:
    preset, runs = preset_file(tmp_path, steps=STEPS), tmp_path / "runs"
    for name in ("one", "two"):
        cluster.add_worker(name, cache=tmp_path / f"of {name}")
    cluster.wait_for_workers()
    sweep = SweepProcess(runs, preset, *OFTEN, *cluster.options)
    worker = sweep.until(is_under_way)["worker"].split()[0]
    cluster.workers[worker].send_signal(signal.SIGKILL)
    code, said = sweep.end()
    assert code == 0, said
    (outcome,) = sweep.outcomes().values()
    assert outcome["step"] == STEPS
    assert " was lost; restarted from the beginning on " in outcome["note"]


def test_a_lost_scheduler_is_said_and_the_rest_is_done_by_resume(tmp_path: Path, cluster: Cluster) -> None:
    preset, runs = preset_file(tmp_path, steps=STEPS), tmp_path / "runs"
    cluster.add_worker("one", cache=tmp_path / "shared")
    cluster.add_worker(
        "old", cache=tmp_path / "shared", program="import femtotui\nfemtotui.__version__ = '0.0.7'\n"
    )
    cluster.wait_for_workers()
    sweep = SweepProcess(runs, preset, "--seeds", "2", *OFTEN, *cluster.options)
    first = sweep.until(lambda event: event["event"] == "run_ended")
    remarks = [event["text"] for event in sweep.seen if event["event"] == "remark"]
    assert len(remarks) == 1
    assert "has femtotui 0.0.7, NumPy " in remarks[0]
    assert ", but here is femtotui " in remarks[0]
    assert first["worker"].startswith("one ")

    cluster.scheduler.send_signal(signal.SIGKILL)
    code, said = sweep.end()
    assert code == 2, said
    assert f"the scheduler at {cluster.address} is gone" in said
    assert "1 of 2 runs have ended; resume with: femtotui sweep --resume " in said

    home = find_run(runs, first["run"])
    written = (home / "metrics.csv").stat().st_mtime_ns
    again = SweepProcess(runs, "--resume", "latest", "--workers", "1")
    code, said = again.end()
    assert code == 0, said
    assert list(again.outcomes()) == [1 - first["index"]]
    assert (home / "metrics.csv").stat().st_mtime_ns == written
    assert len(list_runs(runs)) == 2
