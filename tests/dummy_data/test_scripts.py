"""Both generators as scripts: with nothing installed, and with what a shell does to them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from femtotui.dummy_data import addition_dummy, simple_dummy

ROOT = Path(__file__).parents[2]
SCRIPTS = ["simple_dummy.py", "addition_dummy.py"]


def command(script: str, *arguments: str) -> list[str]:
    """Isolated: no site-packages, no environment, no module search path of the caller's."""
    return [sys.executable, "-I", "-S", str(ROOT / "dummy_data" / script), *arguments]


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command(script, *arguments), capture_output=True, timeout=30, check=False)


@pytest.mark.parametrize(
    ("script", "text"),
    [("simple_dummy.py", simple_dummy.generate(0)), ("addition_dummy.py", addition_dummy.generate(0))],
)
def test_a_script_writes_8000_lines_of_seed_0_with_nothing_installed(script: str, text: str) -> None:
    done = run(script)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == text.encode()


def test_options_are_those_of_the_function() -> None:
    assert (
        run("simple_dummy.py", "--seed", "3", "--lines", "5").stdout == simple_dummy.generate(3, 5).encode()
    )
    addition = run("addition_dummy.py", "--seed", "3", "--lines", "5", "--sums", "train").stdout
    assert addition == addition_dummy.generate(3, 5, "train").encode()


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    "arguments",
    [
        ("--lines", "-3"),
        ("--lines", "0"),
        ("--lines", "99999999999999999999"),
        ("--lines", "9" * 5000),
        ("--lines", "many"),
        ("--lines", "1.5"),
        ("--seed", "-1"),
        ("--seed", "4294967296"),
        ("--sums", "some"),
        ("lines",),
    ],
)
def test_absurd_arguments_are_refused_with_exit_code_2(script: str, arguments: tuple[str, ...]) -> None:
    done = run(script, *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"Traceback" not in done.stderr
    assert arguments[0].encode() in done.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_reader_that_goes_away_ends_it_without_a_word(script: str) -> None:
    with subprocess.Popen(
        command(script, "--lines", "1000000"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout and process.stderr
        assert process.stdout.readline().endswith(b";\n")
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=30) == 0


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_output_that_takes_nothing_is_told_in_words(script: str, tmp_path: Path) -> None:
    """As a full disk does: writing fails, here because the file is open for reading only."""
    (tmp_path / "dataset.txt").touch()
    with (tmp_path / "dataset.txt").open("rb") as read_only:
        done = subprocess.run(
            command(script), stdout=read_only, stderr=subprocess.PIPE, timeout=30, check=False
        )
    assert done.returncode == 2
    assert b"cannot write the lines" in done.stderr
    assert b"Traceback" not in done.stderr
