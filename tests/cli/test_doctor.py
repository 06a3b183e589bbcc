"""The doctor: a table for people, JSON for programs, and what is wrong in words that say what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from femtotui.blas.kernel import CANDIDATE, SWITCH, VARIABLE, ProbeError
from femtotui.blas.probe import Probe
from femtotui.cli.doctor import BlasReport, Terminal, examine_blas, examine_folder, terminal_advice

SLOW = Probe(
    library="openblas",
    version="0.3.31",
    kernel="Haswell",
    file="",
    has_avx512=True,
    gflops=100.0,
    error=1e-7,
)
FAST = msgspec.structs.replace(SLOW, kernel=CANDIDATE, gflops=180.0)


def doctor(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    folders = {"FEMTOTUI_RUNS": str(tmp_path / "runs"), "FEMTOTUI_CACHE": str(tmp_path / "cache")}
    others = {name: value for name, value in os.environ.items() if name not in (VARIABLE, SWITCH)}
    return subprocess.run(
        [sys.executable, "-P", "-m", "femtotui", "doctor", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**others, **folders, **environment},
        timeout=120,
        check=False,
    )


def test_a_healthy_machine_as_json(tmp_path: Path) -> None:
    result = doctor(tmp_path, "--json")
    assert (result.returncode, result.stderr) == (0, "")
    report = json.loads(result.stdout)
    assert report["broken"] == []
    assert report["versions"]["numpy"][0].isdigit()
    assert report["blas"]["now"]["gflops"] > 0.1
    assert report["blas"]["now"]["gflops_together"] > 0.1
    assert report["blas"]["reason"]
    assert report["machine"]["training_threads"] <= report["machine"]["cores"]
    assert report["memory"]["free_mib"] <= report["memory"]["total_mib"]
    assert report["runs"]["problem"] == report["cache"]["problem"] == ""
    assert report["runs"]["path"] == str(tmp_path / "runs")
    assert report["terminal"]["is_terminal"] is False
    assert report["english_cached"] is False
    assert not (tmp_path / "runs").exists()


def test_what_is_broken_is_said_and_is_the_exit_code(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    below_a_file = str(tmp_path / "file" / "below")
    result = doctor(
        tmp_path, FEMTOTUI_RUNS=below_a_file, FEMTOTUI_CACHE=below_a_file, PYTHONIOENCODING="ascii"
    )
    assert (result.returncode, result.stderr) == (1, "")
    words = " ".join(result.stdout.split())
    for expected in ("NumPy", "GFLOP/s on one core", "broken: cannot write to", "FEMTOTUI_RUNS names"):
        assert expected in words
    assert "advice: cannot write to" in words


def examined(
    tmp_path: Path, environment: Mapping[str, str], answers: Mapping[str, Probe | str]
) -> BlasReport:
    """The report of a machine that answers so for each value of OPENBLAS_CORETYPE."""

    def measure(environment: Mapping[str, str], *, together: bool = False) -> Probe:
        answer = answers[environment.get(VARIABLE, "")]
        if isinstance(answer, str):
            raise ProbeError(answer)
        return msgspec.structs.replace(answer, threads=2) if together else answer

    return examine_blas(tmp_path, environment, measure)


def test_a_chosen_kernel_is_shown_beside_the_librarys_own(tmp_path: Path) -> None:
    report = examined(tmp_path, {}, {"": SLOW, CANDIDATE: FAST})
    assert (report.asked, report.best) == (CANDIDATE, CANDIDATE)
    assert report.now and report.now.kernel == CANDIDATE
    assert report.otherwise and report.otherwise.kernel == "Haswell"
    assert report.now.threads == report.otherwise.threads == 2
    assert (report.problem, report.advice) == ("", "")


def test_the_librarys_own_choice_needs_no_comparison(tmp_path: Path) -> None:
    report = examined(tmp_path, {}, {"": FAST})
    assert (report.asked, report.otherwise, report.advice) == ("", None, "")


@pytest.mark.parametrize("natural", [{"": FAST}, {"": SLOW, CANDIDATE: FAST}])
def test_a_variable_that_costs_speed_is_named_with_its_price(
    tmp_path: Path, natural: dict[str, Probe]
) -> None:
    report = examined(tmp_path, {VARIABLE: "Zen"}, {**natural, "Zen": SLOW})
    assert report.now and report.now.kernel == "Haswell"
    assert report.otherwise and report.otherwise.kernel == CANDIDATE
    assert report.advice == (
        "OPENBLAS_CORETYPE=Zen is set in your environment: matrix products would be 1.8 times as fast "
        "without it. Unset it, or set FEMTOTUI_BLAS_KERNEL=auto to have femtotui ignore it"
    )


def test_our_own_switch_is_named_as_well(tmp_path: Path) -> None:
    report = examined(tmp_path, {SWITCH: "Zen"}, {"": FAST, "Zen": SLOW})
    assert report.advice.startswith("FEMTOTUI_BLAS_KERNEL=Zen is set")
    assert report.advice.endswith("Unset it, or set it to auto")


def test_a_variable_that_costs_nothing_is_no_advice(tmp_path: Path) -> None:
    assert examined(tmp_path, {VARIABLE: "Zen"}, {"": FAST, "Zen": FAST}).advice == ""


def test_a_kernel_that_crashes_is_broken_and_says_who_asked_for_it(tmp_path: Path) -> None:
    answers = {"": SLOW, CANDIDATE: "the process was ended by SIGILL"}
    report = examined(tmp_path, {VARIABLE: CANDIDATE}, answers)
    assert report.now is None
    assert "SIGILL" in report.problem
    assert f"{VARIABLE}={CANDIDATE} is set: try without it" in report.problem


def test_a_numpy_that_does_not_work_is_broken(tmp_path: Path) -> None:
    report = examined(tmp_path, {}, {"": "the process ended with code 1: ImportError"})
    assert report.problem == "matrix products fail here: the process ended with code 1: ImportError"


def test_a_numpy_that_cannot_be_loaded_leaves_the_rest_of_the_report(tmp_path: Path) -> None:
    broken = tmp_path / "numpy"
    broken.mkdir()
    (broken / "__init__.py").write_text("raise ImportError('a broken NumPy')")
    result = doctor(tmp_path, PYTHONPATH=str(tmp_path))
    assert (result.returncode, result.stderr) == (1, "")
    assert "a broken NumPy" in " ".join(result.stdout.split())


def test_a_folder_that_is_not_there_yet_is_tried_but_not_made(tmp_path: Path) -> None:
    folder = examine_folder(tmp_path / "not" / "yet")
    assert (folder.problem, list(tmp_path.iterdir())) == ("", [])
    assert folder.free_mib > 0


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, []),
        ({"width": 39}, ["39 × 24 characters: the app needs 40 × 12"]),
        ({"encoding": "latin-1", "unicode": False}, ["encoding is latin-1"]),
        ({"colours": "standard"}, ["few colours"]),
        ({"colours": "none", "height": 5}, ["80 × 5", "few colours"]),
    ],
)
def test_a_poor_terminal_gets_advice(fields: dict[str, object], words: list[str]) -> None:
    terminal = Terminal(
        is_terminal=True,
        term="xterm",
        colours="truecolor",
        width=80,
        height=24,
        encoding="utf-8",
        unicode=True,
    )
    advice = terminal_advice(msgspec.structs.replace(terminal, **fields))
    assert len(advice) == len(words)
    assert all(expected in line for expected, line in zip(words, advice, strict=True))
