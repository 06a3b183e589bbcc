"""The BLAS kernel: taken only where it is right and faster, remembered, and never against the user's will."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
import pytest

from femtotui.blas import kernel as blas_kernel
from femtotui.blas.kernel import (
    CANDIDATE,
    SWITCH,
    VARIABLE,
    KernelChoice,
    ProbeError,
    kernel_choice,
    measured_choice,
    run_probe,
    slow_kernel_notes,
    user_variable,
    with_kernel,
)
from femtotui.blas.probe import Probe, relative_error
from femtotui.installation import cache_folder
from femtotui.presets.english import cache_path

SLOW = Probe(
    library="openblas",
    version="0.3.31",
    kernel="Haswell",
    file="",
    has_avx512=True,
    gflops=100.0,
    error=1e-7,
)
FAST = msgspec.structs.replace(SLOW, kernel=CANDIDATE, gflops=190.0)


class Machine:
    """Answers as the machine would: a probe, or a failure, for each value of OPENBLAS_CORETYPE."""

    def __init__(self, default: Probe | str = SLOW, candidate: Probe | str = FAST) -> None:
        self.answers = {"": default, CANDIDATE: candidate}
        self.asked: list[str] = []

    def __call__(self, environment: Mapping[str, str]) -> Probe:
        kernel = environment.get(VARIABLE, "")
        self.asked.append(kernel)
        answer = self.answers[kernel]
        if isinstance(answer, str):
            raise ProbeError(answer)
        return answer


def changed(probe: Probe, **fields: object) -> Probe:
    return msgspec.structs.replace(probe, **fields)


def test_the_candidate_is_taken_where_it_is_right_and_faster(tmp_path: Path) -> None:
    choice = kernel_choice(tmp_path, {}, Machine())
    assert choice.kernel == CANDIDATE
    assert "1.9 times as fast as Haswell" in choice.reason
    assert (choice.default, choice.candidate) == (SLOW, FAST)


@pytest.mark.parametrize(
    ("default", "words"),
    [
        (changed(SLOW, has_avx512=False), "no AVX-512"),
        (changed(SLOW, library="mkl"), "with mkl, not with OpenBLAS"),
        (changed(SLOW, library="", kernel=""), "a library of its own"),
        (FAST, "uses AVX-512"),
    ],
)
def test_no_other_kernel_is_tried_where_none_could_help(tmp_path: Path, default: Probe, words: str) -> None:
    machine = Machine(default)
    choice = kernel_choice(tmp_path, {}, machine)
    assert choice.kernel == ""
    assert words in choice.reason
    assert machine.asked == [""]


@pytest.mark.parametrize(
    ("candidate", "words"),
    [
        (changed(FAST, error=1e-3), "wrong results"),
        (changed(FAST, error=sys.float_info.max), "wrong results"),
        (changed(FAST, gflops=105.0), "not clearly faster"),
        (changed(FAST, kernel="Haswell"), "not in this OpenBLAS"),
        ("the process was ended by SIGILL", "fails here (the process was ended by SIGILL)"),
        ("no result within 10 seconds", "no result within 10 seconds"),
    ],
)
def test_the_default_stays_where_the_candidate_does_not_prove_itself(
    tmp_path: Path, candidate: Probe | str, words: str
) -> None:
    machine = Machine(candidate=candidate)
    choice = kernel_choice(tmp_path, {}, machine)
    assert choice.kernel == ""
    assert choice.reason.startswith("Haswell stays")
    assert words in choice.reason
    assert machine.asked[:2] == ["", CANDIDATE]
    assert kernel_choice(tmp_path, {}, Machine("not asked")) == choice


def test_a_busy_moment_does_not_decide(tmp_path: Path) -> None:
    machine = Machine(candidate=changed(FAST, gflops=40.0))

    def calmer(environment: Mapping[str, str]) -> Probe:
        if len(machine.asked) == 2:
            machine.answers[CANDIDATE] = FAST
        return machine(environment)

    choice = kernel_choice(tmp_path, {}, calmer)
    assert (choice.kernel, choice.candidate) == (CANDIDATE, FAST)
    assert machine.asked == ["", CANDIDATE, "", CANDIDATE]


def test_what_could_not_be_measured_is_not_remembered(tmp_path: Path) -> None:
    machine = Machine(default="no result within 10 seconds")
    choice = kernel_choice(tmp_path, {}, machine)
    assert (choice.kernel, choice.default) == ("", None)
    assert "no result within 10 seconds" in choice.reason
    assert list(tmp_path.iterdir()) == []
    assert kernel_choice(tmp_path, {}, Machine()).kernel == CANDIDATE


def test_a_choice_is_remembered_and_measured_only_once(tmp_path: Path) -> None:
    machine = Machine()
    first = kernel_choice(tmp_path / "new" / "cache", {}, machine)
    assert kernel_choice(tmp_path / "new" / "cache", {}, machine) == first
    assert machine.asked == ["", CANDIDATE]


def test_another_blas_library_is_measured_anew(tmp_path: Path) -> None:
    library = tmp_path / "libopenblas.so"
    library.write_bytes(b"old")
    machine = Machine(changed(SLOW, file=str(library)))
    kernel_choice(tmp_path, {}, machine)
    library.write_bytes(b"a newer one")
    kernel_choice(tmp_path, {}, machine)
    library.unlink()
    kernel_choice(tmp_path, {}, machine)
    assert machine.asked == ["", CANDIDATE] * 3


def test_another_numpy_is_measured_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    kernel_choice(tmp_path, {}, machine)
    monkeypatch.setattr(blas_kernel.importlib.metadata, "version", lambda _name: "99.0")
    kernel_choice(tmp_path, {}, machine)
    assert len(machine.asked) == 4
    assert len(list(tmp_path.iterdir())) == 2


def damage(text: bytes) -> list[bytes]:
    foreign = text.replace(f'"kernel":"{CANDIDATE}","reason"'.encode(), b'"kernel":"Prescott","reason"')
    newer = text.replace(b'"format":1', b'"format":2')
    assert text not in (foreign, newer)
    return [b"", b"\xff\x00", b"[]", text[:-20], text + b" " * 100_000, foreign, newer]


def test_a_damaged_memory_is_measured_anew_and_mended(tmp_path: Path) -> None:
    chosen = kernel_choice(tmp_path, {}, Machine())
    (file,) = tmp_path.iterdir()
    for damaged in damage(file.read_bytes()):
        file.write_bytes(damaged)
        machine = Machine()
        assert kernel_choice(tmp_path, {}, machine) == chosen
        assert machine.asked == ["", CANDIDATE]
        assert kernel_choice(tmp_path, {}, Machine("not asked")) == chosen


def test_a_cache_that_cannot_be_written_costs_only_the_memory(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("x")
    machine = Machine()
    for _ in range(2):
        assert kernel_choice(in_the_way, {}, machine).kernel == CANDIDATE
    assert len(machine.asked) == 4


def test_what_the_user_set_is_obeyed_unmeasured(tmp_path: Path) -> None:
    machine = Machine()
    choice = kernel_choice(tmp_path, {VARIABLE: "Zen"}, machine)
    assert choice == KernelChoice(kernel="Zen", reason=f"{VARIABLE} is set: obeyed")
    assert machine.asked == []


@pytest.mark.parametrize(
    ("environment", "kernel", "variable"),
    [
        ({}, CANDIDATE, ""),
        ({VARIABLE: "Zen"}, "Zen", VARIABLE),
        ({VARIABLE: ""}, CANDIDATE, ""),
        ({VARIABLE: "Zen", SWITCH: ""}, "Zen", VARIABLE),
        ({VARIABLE: "Zen", SWITCH: "auto"}, CANDIDATE, ""),
        ({VARIABLE: "Zen", SWITCH: " AUTO "}, CANDIDATE, ""),
        ({VARIABLE: "Zen", SWITCH: "Haswell"}, "Haswell", SWITCH),
        ({SWITCH: " Haswell "}, "Haswell", SWITCH),
    ],
)
def test_the_switch_goes_before_openblas_own_variable(
    tmp_path: Path, environment: dict[str, str], kernel: str, variable: str
) -> None:
    assert kernel_choice(tmp_path, environment, Machine()).kernel == kernel
    assert user_variable(environment) == variable


def test_a_setting_that_leaves_avx512_unused_is_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blas_kernel, "has_avx512", lambda: True)
    (note,) = slow_kernel_notes({VARIABLE: "Haswell"})
    assert "OPENBLAS_CORETYPE=Haswell" in note
    assert "doctor" in note
    for silent in ({}, {VARIABLE: "SkylakeX"}, {VARIABLE: "Haswell", SWITCH: "auto"}, {VARIABLE: " "}):
        assert not slow_kernel_notes(silent)
    monkeypatch.setattr(blas_kernel, "has_avx512", lambda: False)
    assert not slow_kernel_notes({VARIABLE: "Haswell"})


def test_measuring_anew_overrides_memory_and_user(tmp_path: Path) -> None:
    kernel_choice(tmp_path, {}, Machine(candidate="crash"))
    assert measured_choice(tmp_path, {VARIABLE: "Zen"}, Machine()).kernel == CANDIDATE
    assert kernel_choice(tmp_path, {}, Machine("not asked")).kernel == CANDIDATE


def test_an_environment_with_a_kernel_and_without() -> None:
    environment = {"HOME": "/", VARIABLE: "Zen"}
    assert with_kernel(environment, "Haswell") == {"HOME": "/", VARIABLE: "Haswell"}
    assert with_kernel(environment, "") == {"HOME": "/"}
    assert environment[VARIABLE] == "Zen"


def test_the_probe_measures_this_machine() -> None:
    probe = run_probe(with_kernel(os.environ, ""))
    assert probe.gflops > 0.1
    assert 0 < probe.error < blas_kernel.MOST_ERROR
    assert (probe.threads, probe.gflops_together) == (0, 0.0)
    assert not probe.file or Path(probe.file).is_file()


@pytest.mark.parametrize(
    ("ours", "error"),
    [
        ([1.0, -4.0], 0.0),
        ([1.0, -3.0], 0.25),
        ([np.nan, -4.0], sys.float_info.max),
        ([np.inf, -4.0], sys.float_info.max),
    ],
)
def test_what_is_not_a_number_is_an_error_beyond_all_others(ours: list[float], error: float) -> None:
    assert relative_error(np.array(ours, np.float32), np.array([1.0, -4.0])) == error


def test_the_probe_measures_all_cores_together() -> None:
    probe = run_probe(with_kernel(os.environ, ""), together=True)
    assert probe.threads >= 1
    assert probe.gflops_together > 0.1


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("kill -ILL $$", "the process was ended by SIGILL"),
        ("echo first >&2; echo no NumPy here >&2; exit 3", "ended with code 3: no NumPy here"),
        ("exit 3", "ended with code 3"),
        ("echo hello", "an invalid result"),
        ("echo '{}'", "an invalid result"),
        ("sleep 60", "no result within 0.2 seconds"),
    ],
)
def test_a_probe_that_fails_is_told_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\nulimit -c 0\n{script.replace('sleep', 'exec sleep')}\n")
    program.chmod(0o755)
    monkeypatch.setattr(blas_kernel.sys, "executable", str(program))
    monkeypatch.setattr(blas_kernel, "PROBE_SECONDS", 0.2 if "sleep" in script else 10.0)
    with pytest.raises(ProbeError) as caught:
        run_probe(os.environ)
    assert words in str(caught.value)


def test_a_python_that_cannot_be_started_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blas_kernel.sys, "executable", "/nowhere/python")
    with pytest.raises(ProbeError, match="no process could be started"):
        run_probe(os.environ)


# -- in the processes that train -------------------------------------------------------------------------


def in_a_process(tmp_path: Path, program: str, **environment: str) -> str:
    """What a program with femtotui prints to standard error last."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={
            **with_kernel(os.environ, ""),
            "FEMTOTUI_CACHE": str(tmp_path / "cache"),
            "FEMTOTUI_RUNS": str(tmp_path / "runs"),
            **environment,
        },
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()[-1]


# OpenBLAS goes its own way when it is given a name that it does not know, so this does no harm anywhere.
SAY = "import os, sys; print(os.environ.get('OPENBLAS_CORETYPE'), file=sys.stderr)"


@pytest.mark.parametrize(
    "start",
    [
        "from femtotui.cli.main import main; main(['train', '10', '--steps', '1'])",
        "from femtotui.trainer.process import main; main()",
        "from femtotui.blas.kernel import prepare_blas; prepare_blas()",
    ],
)
def test_every_process_that_trains_has_its_kernel_before_numpy(tmp_path: Path, start: str) -> None:
    assert in_a_process(tmp_path, f"{start}; {SAY}", FEMTOTUI_BLAS_KERNEL="Chosen") == "Chosen"


def test_auto_takes_what_the_user_set_away(tmp_path: Path) -> None:
    program = f"from femtotui.blas.kernel import prepare_blas; prepare_blas(); {SAY}"
    set_by_user = {"OPENBLAS_CORETYPE": "Prescott"}
    assert in_a_process(tmp_path, program, **set_by_user) == "Prescott"
    assert in_a_process(tmp_path, program, **set_by_user, FEMTOTUI_BLAS_KERNEL="auto") in ("None", CANDIDATE)
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_it_is_left_alone_when_numpy_is_already_loaded(tmp_path: Path) -> None:
    program = f"import numpy; from femtotui.blas.kernel import prepare_blas; prepare_blas(); {SAY}"
    assert in_a_process(tmp_path, program, FEMTOTUI_BLAS_KERNEL="Chosen") == "None"


@pytest.mark.parametrize("chosen", [None, "/some/folder", "~/folder"])
def test_the_cache_folder_is_the_one_that_presets_use(
    monkeypatch: pytest.MonkeyPatch, chosen: str | None
) -> None:
    monkeypatch.delenv("FEMTOTUI_CACHE", raising=False)
    if chosen:
        monkeypatch.setenv("FEMTOTUI_CACHE", chosen)
    assert cache_folder() == cache_path().parent
