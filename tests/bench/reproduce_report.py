"""The README's table and chart out of what `femtotui reproduce --json` printed.

    femtotui reproduce --seeds 3 --json > results.jsonl
    python tests/bench/reproduce_report.py results.jsonl --svg docs/reproduce.svg --readme README.md

The table goes to standard output or, with --readme, between the marks that stand in that file. Several seeds
show as their median, with the least and the most. A miss is shown as one.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from reproduce_chart import chart

from femtotui.text.formats import UNKNOWN, duration

BEGIN, END = "<!-- reproduce: begin -->", "<!-- reproduce: end -->"
HEADER = (
    "#",
    "noted",
    "journal recipe at that step",
    "modern recipe at that step",
    "success after",
    "allowed",
    "validation, score",
    "verdict",
)

Outcome = dict[str, Any]
Results = dict[str, dict[str, list[Outcome]]]
"""By entry and recipe, the outcomes of all seeds."""


def read_results(lines: Iterable[str]) -> Results:
    """Outcomes by entry, in the order of the numbers; a later line for the same seed counts."""
    found: dict[tuple[str, str, int], Outcome] = {}
    for line in lines:
        if line.strip():
            outcome = json.loads(line)
            found[outcome["entry"], outcome["recipe"], outcome["seed"]] = outcome
    results: Results = {}
    for entry, recipe, seed in sorted(found, key=lambda key: (int(key[0]), key[1], key[2])):
        results.setdefault(entry, {}).setdefault(recipe, []).append(found[entry, recipe, seed])
    return results


def markdown(results: Results, picture: str | None) -> str:
    """The table, what it was made on, and the chart."""
    rows = [_cells(entry, recipes) for entry, recipes in results.items()]
    lines = [_row(HEADER), _row(["---"] * len(HEADER)), *map(_row, rows), "", _conditions(results)]
    return "\n".join(lines + (["", f"![{_alt()}]({picture})"] if picture else [])) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(entry: str, recipes: dict[str, list[Outcome]]) -> list[str]:
    theirs, ours = recipes.get("journal", []), recipes.get("modern", [])
    judged = ours or theirs
    return [
        entry,
        _noted(judged[0]),
        _at_that_step(theirs),
        _at_that_step(ours),
        _success(ours),
        duration(judged[0]["seconds_allowed"]),
        f"{_spread([o['val_loss'] for o in judged], _loss)}, {_scores(judged, 'score')}",
        _verdict(judged),
    ]


def _noted(o: Outcome) -> str:
    if o["journal_step"] is not None:
        took = f", {duration(o['journal_seconds'])}" if o["journal_seconds"] is not None else ""
        return f"{o['journal_loss']:.4f} at {o['journal_step']:,}{took}, {o['journal_verdict']}"
    took = f" in {duration(o['peer_seconds'])}" if o["peer_seconds"] is not None else ""
    return f"{o['peer']}: {o['peer_loss']:.4f}{took}"


def _at_that_step(outcomes: list[Outcome]) -> str:
    known = [o for o in outcomes if o["loss_at_journal_step"] is not None]
    if known:
        losses = _spread([o["loss_at_journal_step"] for o in known], _loss)
        return f"{losses}, {_scores(known, 'score_at_journal_step')}"
    times = [o["seconds_to_peer"] for o in outcomes if o["seconds_to_peer"] is not None]
    return f"that loss after {_spread(times, _seconds)}" if times else UNKNOWN


def _success(outcomes: list[Outcome]) -> str:
    done = [o for o in outcomes if o["verdict"] == "success"]
    if not done:
        return UNKNOWN
    steps = _spread([o["steps_to_success"] for o in done], lambda n: f"{n:,.0f}")
    return f"{steps} steps, {_spread([o['seconds_to_success'] for o in done], duration)}"


def _verdict(outcomes: list[Outcome]) -> str:
    done = [o for o in outcomes if o["verdict"] == "success"]
    slow = any(o["seconds_to_success"] > o["seconds_allowed"] for o in done)
    if len(done) < len(outcomes):
        of = f" ({len(done)} of {len(outcomes)} seeds)" if len(outcomes) > 1 else ""
        return f"**missed**{of}: {outcomes[0]['goal']}"
    return "success, **over its time**" if slow else "success"


def _scores(outcomes: list[Outcome], field: str) -> str:
    if outcomes[0]["unit"] == "share":
        return _spread([o[field] for o in outcomes], lambda share: f"{share:.1%}")
    return f"{_spread([o[field] for o in outcomes], lambda bits: f'{bits:.3f}')} {outcomes[0]['unit']}"


def _spread(values: Sequence[float], words: Callable[[float], str]) -> str:
    """The median, and the ends where they differ."""
    middle, least, most = (words(found) for found in (median(values), min(values), max(values)))
    return middle if least == most else f"{middle} ({least}–{most})"


def _loss(value: float) -> str:
    return f"{value:.4f}"


def _seconds(value: float) -> str:
    return f"{value:.1f} s"


def _conditions(results: Results) -> str:
    """Machine, date, seeds and data: what the figures hold for."""
    outcomes = [o for recipes in results.values() for several in recipes.values() for o in several]
    machines = "; ".join(sorted({o["machine"] for o in outcomes}))
    days = sorted({o["created"][:10] for o in outcomes})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    seeds = max(len(several) for recipes in results.values() for several in recipes.values())
    stand_ins = sorted({o["entry"] for o in outcomes if "stand-in" in o["data"]}, key=int)
    words = f"Losses in nats a token, times of training; {machines}; {when}; up to {seeds} seeds."
    if stand_ins:
        words += f" Trained on a stand-in, so that losses do not compare: {', '.join(stand_ins)}."
    return words


def _alt() -> str:
    return "loss at the journal's step and seconds to success, for every entry, beside the journal's"


def put_between_marks(readme: str, text: str) -> str:
    """The file's text with what stands between the marks replaced."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"there is no {BEGIN} ... {END} to put it between")
    return f"{before}{BEGIN}\n{text}{END}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("results", nargs="*", type=Path, help="files of JSON lines (default: standard input)")
    parser.add_argument("--svg", type=Path, help="write the chart there")
    parser.add_argument("--readme", type=Path, help="put the table there instead of printing it")
    arguments = parser.parse_args()
    texts = [path.read_text("utf-8") for path in arguments.results] or [sys.stdin.read()]
    results = read_results(line for text in texts for line in text.splitlines())
    if not results:
        raise SystemExit("there are no results in that")
    if arguments.svg:
        arguments.svg.write_text(chart(results), "utf-8")
    table = markdown(results, arguments.svg.as_posix() if arguments.svg else None)
    if arguments.readme:
        readme = arguments.readme.read_text("utf-8")
        arguments.readme.write_text(put_between_marks(readme, table), "utf-8")
    else:
        print(table, end="")


if __name__ == "__main__":
    main()
