"""The table and chart of docs/reproduction.md from the output of `femtotui reproduce --json`.

    femtotui reproduce --seeds 3 --json > results.jsonl
    python tests/bench/reproduce_report.py results.jsonl --svg docs/reproduce.svg --page docs/reproduction.md

The table goes to standard output or, with --page, between the marks that stand in that file. Several seeds
show as their median, with the least and the most. A miss is shown as one.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from harness import FAINT, INK, QUIET, Axis, dot, line, markdown_table, options, picture, text

from femtotui.text.formats import UNKNOWN, duration

BEGIN, END = "<!-- reproduce: begin -->", "<!-- reproduce: end -->"
HEADER = (
    *("#", "noted", "journal recipe at that step", "modern recipe at that step"),
    *("success after", "allowed", "validation, score", "verdict"),
)
ALT = "loss at the journal's step and seconds to success, for every entry, beside the journal's"

WIDTH, LEFT, GAP, RIGHT = 920, 34, 70, 24
TOP, ROW, BOTTOM = 78, 24, 34
JOURNAL, AGAIN, MODERN = "#b9b9b9", "#c26a1b", "#0b6e99"

Outcome = dict[str, Any]
Recipes = dict[str, list[Outcome]]  # by recipe, the outcomes of all seeds
Results = dict[str, Recipes]  # by entry


def read_results(lines: Iterable[str]) -> Results:
    """Outcomes by entry, in the order of the numbers; a later line for the same seed counts."""
    found: dict[tuple[str, str, int], Outcome] = {}
    for outcome in (json.loads(row) for row in lines if row.strip()):
        found[outcome["entry"], outcome["recipe"], outcome["seed"]] = outcome
    results: Results = {}
    for entry, recipe, seed in sorted(found, key=lambda key: (int(key[0]), key[1], key[2])):
        results.setdefault(entry, {}).setdefault(recipe, []).append(found[entry, recipe, seed])
    return results


def all_outcomes(results: Results) -> list[Outcome]:
    return [o for recipes in results.values() for several in recipes.values() for o in several]


# -- the table -------------------------------------------------------------------------------------------


def markdown(results: Results, chart_path: str | None) -> str:
    """The table, its conditions, and the chart."""
    rows = markdown_table([HEADER, *(cells(entry, recipes) for entry, recipes in results.items())])
    image = f"\n![{ALT}]({chart_path})\n" if chart_path else ""
    return f"{rows}\n\n{conditions(results)}\n{image}"


def cells(entry: str, recipes: Recipes) -> list[str]:
    theirs, ours = recipes.get("journal", []), recipes.get("modern", [])
    judged = ours or theirs
    return [
        entry,
        noted(judged[0]),
        at_that_step(theirs),
        at_that_step(ours),
        success(ours),
        duration(judged[0]["seconds_allowed"]),
        f"{spread(judged, 'val_loss', '{:.4f}'.format)}, {scores(judged, 'score')}",
        verdict(judged),
    ]


def noted(o: Outcome) -> str:
    if o["journal_step"] is not None:
        took = f", {duration(o['journal_seconds'])}" if o["journal_seconds"] is not None else ""
        return f"{o['journal_loss']:.4f} at {o['journal_step']:,}{took}, {o['journal_verdict']}"
    took = f" in {duration(o['peer_seconds'])}" if o["peer_seconds"] is not None else ""
    return f"{o['peer']}: {o['peer_loss']:.4f}{took}"


def at_that_step(outcomes: list[Outcome]) -> str:
    if known := [o for o in outcomes if o["loss_at_journal_step"] is not None]:
        losses = spread(known, "loss_at_journal_step", "{:.4f}".format)
        return f"{losses}, {scores(known, 'score_at_journal_step')}"
    if timed := [o for o in outcomes if o["seconds_to_peer"] is not None]:
        return f"that loss after {spread(timed, 'seconds_to_peer', '{:.1f} s'.format)}"
    return UNKNOWN


def success(outcomes: list[Outcome]) -> str:
    done = [o for o in outcomes if o["verdict"] == "success"]
    if not done:
        return UNKNOWN
    steps = spread(done, "steps_to_success", "{:,.0f}".format)
    return f"{steps} steps, {spread(done, 'seconds_to_success', duration)}"


def verdict(outcomes: list[Outcome]) -> str:
    done = [o for o in outcomes if o["verdict"] == "success"]
    if len(done) < len(outcomes):
        of = f" ({len(done)} of {len(outcomes)} seeds)" if len(outcomes) > 1 else ""
        return f"**missed**{of}: {outcomes[0]['goal']}"
    slow = any(o["seconds_to_success"] > o["seconds_allowed"] for o in done)
    return "success, **over its time**" if slow else "success"


def scores(outcomes: list[Outcome], field: str) -> str:
    if outcomes[0]["unit"] == "share":
        return spread(outcomes, field, "{:.1%}".format)
    return f"{spread(outcomes, field, '{:.3f}'.format)} bits per byte"


def spread(outcomes: list[Outcome], field: str, words: Callable[[float], str]) -> str:
    """The median of a field, and the ends where they differ."""
    values = [o[field] for o in outcomes]
    middle, least, most = words(median(values)), words(min(values)), words(max(values))
    return middle if least == most else f"{middle} ({least}–{most})"


def conditions(results: Results) -> str:
    """Machine, date, seeds and data."""
    outcomes = all_outcomes(results)
    machines = "; ".join(sorted({o["machine"] for o in outcomes}))
    days = sorted({o["created"][:10] for o in outcomes})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    seeds = max(len(several) for recipes in results.values() for several in recipes.values())
    words = f"Losses in nats per token, times of training; {machines}; {when}; up to {seeds} seeds."
    if stand_ins := sorted({o["entry"] for o in outcomes if "stand-in" in o["data"]}, key=int):
        words += f" Trained on a stand-in, so that losses do not compare: {', '.join(stand_ins)}."
    return words


def put_between_marks(page: str, table: str) -> str:
    """The file's text with the text between the marks replaced."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"there is no {BEGIN} ... {END} to put it between")
    return f"{before}{BEGIN}\n{table}{END}{after}"


# -- the chart -------------------------------------------------------------------------------------------


def ticks(axis: Axis) -> list[float]:
    low, high = axis.low, axis.high
    if axis.logarithmic:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        return [10.0**k * m for k in powers for m in (1, 3) if low <= 10.0**k * m <= high]
    step = next(size for size in (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, math.inf) if (high - low) / size <= 8)
    return [round(k * step, 2) for k in range(math.ceil(low / step), int(high // step) + 1)]


def chart(results: Results) -> str:
    """Losses at the left, times at the right, a row of dots per entry: the journal's beside ours."""
    height = TOP + ROW * len(results) + BOTTOM
    middle = (WIDTH - LEFT - RIGHT - GAP) / 2
    losses = loss_axis(results, LEFT, LEFT + middle)
    times = time_axis(results, LEFT + middle + GAP, WIDTH - RIGHT)
    parts = [
        text(14, 20, "The journal's entries, trained again", size=13),
        *legend(),
        text(losses.start, TOP - 18, "loss at the journal's step, nats per token"),
        text(times.start, TOP - 18, "seconds: the journal's, and ours to success"),
    ]
    for axis in (losses, times):
        for tick in ticks(axis):
            parts.append(line([(axis.at(tick), TOP), (axis.at(tick), height - BOTTOM)], FAINT))
            parts.append(text(axis.at(tick), height - BOTTOM + 16, f"{tick:g}", anchor="middle"))
    for i, (entry, recipes) in enumerate(results.items()):
        y = TOP + ROW * i + ROW / 2
        parts.append(text(LEFT - 14, y + 4, entry, anchor="end"))
        parts += draw_losses(recipes, losses, y) + draw_times(recipes, times, y)
    return picture(WIDTH, height, parts)


def legend() -> list[str]:
    journal = "noted by the journal (or by the peer: validation)"
    modern = "the modern recipe (hollow: no success)"
    parts, x = [], 20.0
    for colour, words in ((JOURNAL, journal), (AGAIN, "its recipe, here"), (MODERN, modern)):
        parts += [dot(x, 36, colour), text(x + 8, 40, words, fill=QUIET)]
        x += 24 + 6.2 * len(words)
    return [*parts, text(x, 40, "|  time allowed", fill=QUIET)]


def median_and_range(values: Sequence[float], axis: Axis, y: float, colour: str) -> list[str]:
    return [
        line([(axis.at(min(values)), y), (axis.at(max(values)), y)], colour, width=2),
        dot(axis.at(median(values)), y, colour),
    ]


def draw_losses(recipes: Recipes, axis: Axis, y: float) -> list[str]:
    parts = [dot(axis.at(noted_loss(recipes)), y, JOURNAL, radius=5.5)]
    for recipe, colour in (("journal", AGAIN), ("modern", MODERN)):
        if values := compared_losses(recipes.get(recipe, [])):
            parts += median_and_range(values, axis, y, colour)
    return parts


def draw_times(recipes: Recipes, axis: Axis, y: float) -> list[str]:
    known, ours = next(iter(recipes.values()))[0], recipes.get("modern", [])
    noted_seconds, allowed = (
        known["journal_seconds"] or known["peer_seconds"],
        axis.at(known["seconds_allowed"]),
    )
    parts = [dot(axis.at(noted_seconds), y, JOURNAL, radius=5.5)] if noted_seconds else []
    parts.append(line([(allowed, y - 8), (allowed, y + 8)], INK))
    times = [o["seconds_to_success"] for o in ours if o["verdict"] == "success"]
    if times and len(times) == len(ours):
        return parts + median_and_range(times, axis, y, MODERN)
    return parts + [dot(axis.at(median(o["seconds"] for o in ours)), y, MODERN, hollow=True)] * bool(ours)


def compared_losses(outcomes: list[Outcome]) -> list[float]:
    """At the journal's step; without one, the validation loss, as the peer's is."""
    at_step = [o["loss_at_journal_step"] for o in outcomes if o["loss_at_journal_step"] is not None]
    return at_step or [o["val_loss"] for o in outcomes]


def noted_loss(recipes: Recipes) -> float:
    outcome = next(iter(recipes.values()))[0]
    return float(outcome["journal_loss"] if outcome["journal_loss"] is not None else outcome["peer_loss"])


def loss_axis(results: Results, left: float, right: float) -> Axis:
    values = [noted_loss(recipes) for recipes in results.values()]
    values += [x for recipes in results.values() for o in recipes.values() for x in compared_losses(o)]
    margin = 0.05 * (max(values) - min(values)) + 0.01
    return Axis(left, right, min(values) - margin, max(values) + margin)


def time_axis(results: Results, left: float, right: float) -> Axis:
    fields = ("journal_seconds", "peer_seconds", "seconds_to_success", "seconds_allowed", "seconds")
    values = [o[field] for o in all_outcomes(results) for field in fields if o[field]]
    return Axis(left, right, 0.8 * min(values), 1.2 * max(values), logarithmic=True)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("results", nargs="*", type=Path, help="files of JSON lines (default: standard input)")
    parser.add_argument("--svg", type=Path, help="write the chart to this file")
    parser.add_argument("--page", type=Path, help="put the table into this file instead of printing it")
    asked = parser.parse_args()
    texts = [path.read_text("utf-8") for path in asked.results] or [sys.stdin.read()]
    results = read_results(line for text in texts for line in text.splitlines())
    if not results:
        raise SystemExit("there are no results in that")
    if asked.svg:
        asked.svg.write_text(chart(results), "utf-8")
    table = markdown(results, asked.svg.as_posix() if asked.svg else None)
    if asked.page:
        asked.page.write_text(put_between_marks(asked.page.read_text("utf-8"), table), "utf-8")
    else:
        print(table, end="")


if __name__ == "__main__":
    main()
