"""femtotui against another program, timed in turn: round after round, so that both see the same machine.

The peer is any command that prints a JSON line with `ms_median`, written with {layers}, {width}, {heads},
{context}, {batch}, {vocab} and {threads} where it wants them:

    python tests/bench/compare.py --preset 2 5 --rounds 5 \\
        --peer "python peer.py --config {layers},{width},{heads},{context},{batch},{vocab} --steps 30"

A ratio above 1 says that femtotui is that many times as fast.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from statistics import median
from typing import Any

from harness import ONE_OF_EACH_SIZE, in_turn, options, show


def compare(preset: str, peer: str, rounds: int, bench_options: Sequence[str]) -> dict[str, Any]:
    """Time both in turn. femtotui, which is first, says what sizes the peer gets.

    Returns medians over the rounds, and the ratio of each round, in which the machine's drift cancels.
    """
    command = [sys.executable, "-m", "femtotui", "bench", preset, "--json", *bench_options]
    said: dict = {}

    def ours() -> float:
        said.update(last_json_line(command))
        return said["ms_median"]

    def theirs() -> float:
        sizes = {**said["config"], "threads": said["threads"]}
        return float(last_json_line([part.format(**sizes) for part in shlex.split(peer)])["ms_median"])

    ours_ms, peer_ms = in_turn(rounds, ours, theirs)
    ratios = [other / own for own, other in zip(ours_ms, peer_ms, strict=True)]
    return {
        "preset": preset,
        **{name: said[name] for name in ("config", "blas_kernel", "threads")},
        **{"ours_ms": ours_ms, "ms_median": median(ours_ms)},
        **{"peer_ms": peer_ms, "peer_ms_median": median(peer_ms)},
        **{"ratio": median(ratios), "ratios": [round(ratio, 3) for ratio in ratios]},
    }


def line_of(o: dict[str, Any]) -> str:
    sizes = "/".join(str(o["config"][name]) for name in ("layers", "width", "heads", "context", "vocab"))
    return (
        f"#{o['preset']:<3} {sizes:<18} {o['ms_median']:9.2f} {o['peer_ms_median']:9.2f} {o['ratio']:6.2f}"
        f"   ({min(o['ratios']):.2f} to {max(o['ratios']):.2f})"
    )


def last_json_line(command: Sequence[str]) -> dict:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        last = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        sys.exit(f"{shlex.join(command)}\nprinted no measurement: {last}")
    return json.loads(lines[-1])


def main() -> None:
    parser = options(__doc__, presets=ONE_OF_EACH_SIZE, rounds=5, as_json=True)
    parser.add_argument("--peer", required=True, help="the command to compare with, a template")
    parser.add_argument(
        "options", nargs="*", help="after --: options for `femtotui bench`, as --recipe journal"
    )
    asked = parser.parse_args()
    if not asked.json:
        print("     L/d/H/T/V               ours      peer  ratio   of the rounds", flush=True)
    for preset in asked.preset:
        found = compare(preset, asked.peer, asked.rounds, asked.options)
        show(asked.json, line_of(found), **found)


if __name__ == "__main__":
    main()
