"""The README's table and chart, out of what `femtotui reproduce --json` printed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest

from femtotui.experiments.reproduction import ReproductionResult
from femtotui.presets import load_preset

BENCH = Path(__file__).parent
SCRIPT = BENCH / "reproduce_report.py"


def outcome(
    entry: str, recipe: str, *, seed: int = 0, score: float = 0.97, seconds: float = 11.0
) -> ReproductionResult:
    preset = load_preset(entry)
    record, peer, goal = preset.journal, preset.peer, preset.goal
    assert goal is not None
    assert goal.score is not None
    reached = score >= goal.score if goal.score <= 1 else score <= goal.score
    return ReproductionResult(
        entry=entry,
        recipe=recipe,
        seed=seed,
        journal_step=record.step if record else None,
        journal_loss=record.loss if record else None,
        journal_seconds=record.elapsed_s if record else None,
        journal_verdict=record.verdict if record else None,
        loss_at_journal_step=1.25 + seed / 100 if record else None,
        score_at_journal_step=score if record else None,
        steps_to_success=preset.steps if reached else None,
        seconds_to_success=seconds if reached else None,
        seconds_allowed=goal.seconds,
        val_loss=1.3,
        score=score,
        unit="share" if goal.score <= 1 else "bits a byte",
        goal="at least 95%",
        verdict="success" if reached else "fail",
        steps=preset.steps,
        seconds=seconds,
        peer=peer.name if peer else None,
        peer_loss=peer.val_loss if peer else None,
        peer_seconds=peer.elapsed_s if peer else None,
        seconds_to_peer=8.5 if peer else None,
        data="english (stand-in: Python's help texts)" if peer else "simple_dummy",
        machine="a laptop, 2 cores",
        created="2026-11-23T07:00:00+00:00",
    )


RESULTS = (
    outcome("2", "journal", score=0.1),
    outcome("2", "modern"),
    outcome("2", "modern", seed=1),
    outcome("2", "modern", seed=2),
    outcome("10", "modern", score=0.5),
    outcome("9", "modern", score=0.995, seconds=900.0),
    outcome("13", "modern", score=2.27),
)


def report(tmp_path: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    lines = tmp_path / "results.jsonl"
    lines.write_bytes(b"\n".join(map(msgspec.json.encode, RESULTS)) + b"\n")
    command = [sys.executable, SCRIPT, lines, *arguments]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)


def test_a_row_an_entry_with_spreads_and_misses_shown_as_misses(tmp_path: Path) -> None:
    done = report(tmp_path, "--svg", "chart.svg")
    assert done.returncode == 0, done.stderr
    table = {line.split(" | ")[0].strip("| "): line for line in done.stdout.splitlines() if "|" in line}
    assert list(table) == ["#", "---", "2", "9", "10", "13"]
    assert "1.4760 at 629, 2m 09s, success" in table["2"]
    assert "1.2600 (1.2500–1.2700), 97.0%" in table["2"]
    assert "1.2500, 10.0%" in table["2"]
    assert "**missed**: at least 95%" in table["10"]
    assert "success, **over its time**" in table["9"]
    assert "nanoGPT: 1.9170 in 1m 16s | – | that loss after 8.5 s" in table["13"]
    assert "a laptop, 2 cores; 2026-11-23; up to 3 seeds. Trained on a stand-in" in done.stdout
    assert "](chart.svg)" in done.stdout


def test_the_chart_has_a_dot_for_each_figure(tmp_path: Path) -> None:
    assert report(tmp_path, "--svg", "chart.svg").returncode == 0
    svg = ET.fromstring((tmp_path / "chart.svg").read_text("utf-8"))
    circles = [element for element in svg.iter() if element.tag.endswith("circle")]
    rings = [circle for circle in circles if circle.get("fill") == "#ffffff"]
    # The legend; noted, again and modern losses; noted and modern times.
    assert len(circles) == 3 + (4 + 1 + 4) + (4 + 4)
    assert len(rings) == 1  # entry 10 did not succeed


@pytest.mark.parametrize("marked", [True, False])
def test_the_table_goes_between_the_marks_of_a_file_and_nowhere_else(tmp_path: Path, marked: bool) -> None:
    begin, end = "<!-- reproduce: begin -->\n", "<!-- reproduce: end -->\n"
    page = tmp_path / "reproduction.md"
    before = f"# Title\n{begin}old\n{end}rest\n" if marked else "# Title\n"
    page.write_text(before, "utf-8")
    done = report(tmp_path, "--page", page)
    text = page.read_text("utf-8")
    if marked:
        assert text.startswith(f"# Title\n{begin}| # | noted")
        assert text.endswith(f"{end}rest\n")
        assert "old" not in text
    else:
        assert (done.returncode, text) == (1, before)
