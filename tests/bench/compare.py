"""femtotui against another program, timed in turn: round after round, so that both see the same machine.

The peer is any command that prints a JSON line with `ms_median`, written with {layers}, {width}, {heads},
{context}, {batch}, {vocab} and {threads} where it wants them:

    python tests/bench/compare.py --preset 2 5 --rounds 5 \\
        --peer "python peer.py --config {layers},{width},{heads},{context},{batch},{vocab} --steps 30"

A ratio above 1 says that femtotui is as many times as fast.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

PRESETS = ("10", "2", "3", "9", "11", "12", "5")


@dataclass(frozen=True)
class Comparison:
    """Medians over the rounds, and the ratio of each round: what drifts with the machine drops out of it."""

    preset: str
    config: dict[str, int]
    ours_ms: list[float]
    peer_ms: list[float]
    ms_median: float
    peer_ms_median: float
    ratio: float
    ratios: list[float]
    blas_kernel: str
    threads: int


def compare(preset: str, peer: str, rounds: int, options: Sequence[str]) -> Comparison:
    """Times both in turn; every other round the peer goes first."""
    measured = [_ours(preset, options)]
    sizes = {**measured[0]["config"], "threads": measured[0]["threads"]}
    peer_ms = [_peer(peer, sizes)]
    for i in range(1, rounds):
        if i % 2:
            peer_ms.append(_peer(peer, sizes))
            measured.append(_ours(preset, options))
        else:
            measured.append(_ours(preset, options))
            peer_ms.append(_peer(peer, sizes))
    ours_ms = [one["ms_median"] for one in measured]
    ratios = [theirs / ours for ours, theirs in zip(ours_ms, peer_ms, strict=True)]
    return Comparison(
        preset=preset,
        config=measured[0]["config"],
        ours_ms=ours_ms,
        peer_ms=peer_ms,
        ms_median=statistics.median(ours_ms),
        peer_ms_median=statistics.median(peer_ms),
        ratio=statistics.median(ratios),
        ratios=[round(ratio, 3) for ratio in ratios],
        blas_kernel=measured[0]["blas_kernel"],
        threads=measured[0]["threads"],
    )


def _ours(preset: str, options: Sequence[str]) -> dict:
    command = [sys.executable, "-m", "femtotui", "bench", "--preset", preset, "--json", *options]
    return _last_json_line(command)


def _peer(template: str, sizes: dict[str, int]) -> float:
    return float(_last_json_line([part.format(**sizes) for part in shlex.split(template)])["ms_median"])


def _last_json_line(command: Sequence[str]) -> dict:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        last = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        sys.exit(f"{shlex.join(command)}\nprinted no measurement: {last}")
    return json.loads(lines[-1])


def _line(comparison: Comparison) -> str:
    sizes = "/".join(
        str(comparison.config[name]) for name in ("layers", "width", "heads", "context", "vocab")
    )
    return (
        f"#{comparison.preset:<3} {sizes:<18} {comparison.ms_median:9.2f} {comparison.peer_ms_median:9.2f} "
        f"{comparison.ratio:6.2f}   ({min(comparison.ratios):.2f} to {max(comparison.ratios):.2f})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--preset", nargs="+", default=PRESETS, help="default: one of each size")
    parser.add_argument("--peer", required=True, help="the command to compare with, a template")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one JSON object a preset")
    parser.add_argument(
        "options", nargs="*", help="after --: options for `femtotui bench`, as --recipe journal"
    )
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    if not arguments.json:
        print("     L/d/H/T/V               ours      peer  ratio   of the rounds", flush=True)
    for preset in arguments.preset:
        comparison = compare(preset, arguments.peer, arguments.rounds, arguments.options)
        print(json.dumps(asdict(comparison)) if arguments.json else _line(comparison), flush=True)


if __name__ == "__main__":
    main()
