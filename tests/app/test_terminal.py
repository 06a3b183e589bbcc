"""The app in real terminals: keys are typed, the screen is read, and it leaves as a program should."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from terminal import Terminal, kinds, open_terminal, wait_for, wait_for_exit


@pytest.fixture(params=kinds())
def terminal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Terminal]:
    terminal = open_terminal(request.param, ["10"], tmp_path)
    yield terminal
    terminal.close()


def step(screen: str) -> int:
    found = re.search(r"│ ([\d,]+) +│", screen)
    return int(found[1].replace(",", "")) if found else 0


def test_a_session_in_a_terminal(terminal: Terminal, tmp_path: Path) -> None:
    wait_for(terminal, lambda screen: "#10 very simple model 5" in screen and "● training" in screen)
    early = step(wait_for(terminal, lambda screen: step(screen) > 0))
    wait_for(terminal, lambda screen: step(screen) > early + 10)
    terminal.type("Space")
    wait_for(terminal, lambda screen: "‖ paused" in screen)
    terminal.type("s")
    wait_for(terminal, lambda screen: "leave the field" in screen)
    terminal.type("b", "a", "Enter")
    wait_for(terminal, lambda screen: "prompt  ba" in screen)
    wait_for(terminal, lambda screen: "bits per byte" in screen)
    terminal.type("Escape")
    wait_for(terminal, lambda screen: "your text" in screen)
    terminal.type("Escape")
    wait_for(terminal, lambda screen: "space resume" in screen)
    terminal.resize(39, 11)
    wait_for(terminal, lambda screen: "now 39×11, needs 40×12" in screen)
    terminal.resize(120, 36)
    wait_for(terminal, lambda screen: "presets" in screen and "12 English 2" in screen)
    terminal.type("q")
    assert wait_for_exit(terminal) == 0
    (run,) = (tmp_path / "runs").iterdir()
    screen = wait_for(terminal, lambda screen: "Run saved in" in screen)
    assert run.name in screen.replace("\n", "") and "To resume: femtotui" in screen.replace("\n", "")
    assert list((run / "checkpoints").glob("step-*.safetensors"))


def test_ctrl_c_leaves_as_cleanly(tmp_path: Path) -> None:
    terminal = open_terminal("pty", ["10"], tmp_path)
    try:
        wait_for(terminal, lambda screen: step(screen) > 0)
        terminal.type("C-c")
        assert wait_for_exit(terminal) == 0
        assert list((tmp_path / "runs").glob("*/checkpoints/step-*.safetensors"))
    finally:
        terminal.close()


def test_a_preset_that_does_not_exist_leaves_one_line_and_exit_code_2(tmp_path: Path) -> None:
    terminal = open_terminal("pty", ["very simpel model 2"], tmp_path)
    try:
        assert wait_for_exit(terminal) == 2
        assert "very simple model 2" in terminal.screen()
        assert not (tmp_path / "runs").exists()
    finally:
        terminal.close()
