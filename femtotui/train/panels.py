"""What the panels say of a run: two short lines each, no screen."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from .run_view import RunView, Status
from .sparkline import progress_bar, sparkline
from .wording import UNKNOWN, duration, loss, memory, milliseconds, rate

PANELS = ("step", "loss", "elapsed", "RAM", "speed", "rate")
_LONGEST_FORESIGHT_S = 30 * 86_400


class Lines(NamedTuple):
    """The line that catches the eye, the quieter one below it, and one more where there is room for three."""

    main: str
    sub: str
    more: str = ""


BAR_WIDTH = 8


def panel_lines(
    view: RunView | None, now: datetime | None = None, free_mib: float | None = None
) -> dict[str, Lines]:
    """The lines of every panel, by its title. `free_mib` is what the machine has left."""
    if view is None:
        return {name: Lines(UNKNOWN, "") for name in PANELS}
    ms, tokens = view.ms_per_step, view.tokens_per_s
    share = view.step / view.total_steps
    return {
        "step": Lines(
            f"{view.step:,}",
            f"of {view.total_steps:,}",
            f"{progress_bar(share, BAR_WIDTH)} {int(100 * share)}%",
        ),
        "loss": Lines(loss(view.smoothed_loss), f"val {loss(view.val_loss)}", _landmark(view)),
        "elapsed": Lines(duration(view.elapsed_s), _left(view), _end(view, now)),
        "RAM": _ram(view, free_mib),
        "speed": Lines(
            f"{milliseconds(ms)}/step" if ms is not None else UNKNOWN,
            rate(tokens) if tokens is not None else "",
            sparkline(view.recent_speeds(), 12),
        ),
        "rate": Lines(
            f"{view.lr:.2e}" if view.lr is not None else UNKNOWN,
            f"gradient {view.grad_norm:.3f}" if view.grad_norm is not None else "",
            f"seed {view.config.train.seed}",
        ),
    }


def _landmark(view: RunView) -> str:
    """The loss to think of beside one's own: the floor, or what counting pairs would do."""
    if view.started is None:
        return ""
    known = view.started.baselines
    return f"floor {known.floor:.4f}" if known.floor is not None else f"bigram {known.bigram:.4f}"


def _end(view: RunView, now: datetime | None) -> str:
    """The time of day at which it will be over."""
    if view.status is not Status.TRAINING or view.left_s is None or now is None:
        return ""
    if view.left_s > _LONGEST_FORESIGHT_S:
        return ""
    end = now + timedelta(seconds=view.left_s)
    return f"ends {end:%H:%M}" if end.date() == now.date() else f"ends {end:%m-%d %H:%M}"


def _ram(view: RunView, free_mib: float | None) -> Lines:
    plan = f"~{memory(view.forecast_mib).removesuffix(' MiB')}" if view.forecast_mib else ""
    free = f"{free_mib / 1024:.1f}G free" if free_mib is not None else ""
    if not view.total_mib:
        return Lines(UNKNOWN, plan, free)
    peak = f"peak {memory(view.peak_mib).removesuffix(' MiB')} {plan}"
    return Lines(memory(view.total_mib), peak.strip(), free)


def _left(view: RunView) -> str:
    if view.status is Status.FINISHED:
        return "finished"
    if view.status is Status.FAILED or view.left_s is None:
        return UNKNOWN
    return f"{duration(view.left_s)} left"


def summary_facts(view: RunView | None) -> list[str]:
    """All of it in a few words each, the most important first, for terminals where the panels do not fit."""
    if view is None:
        return []
    lines = panel_lines(view)
    facts = [
        f"{view.step:,}/{view.total_steps:,}",
        f"loss {lines['loss'].main}",
        lines["loss"].sub,
        lines["elapsed"].sub,
        lines["RAM"].main,
        lines["speed"].main,
    ]
    return [fact for fact in facts if fact not in {"", UNKNOWN}]


FIGURES_SECONDS = 1.0
"""How often figures at the edge of a screen follow what they are of: each time, all between is drawn anew."""


def figures_line(view: RunView | None) -> str:
    """Learning rate and gradient norm, for those who look."""
    if view is None or view.lr is None or view.grad_norm is None:
        return ""
    return f"learning rate {view.lr:.2e}  gradient {view.grad_norm:6.3f}"


def ram_words(view: RunView, free_mib: float) -> str:
    """The memory in a sentence, for those who ask what its figures are."""
    words = [f"{memory(view.total_mib)} for the trainer and the app, {memory(view.peak_mib)} at most"]
    if view.forecast_mib:
        words.append(f"{memory(view.forecast_mib)} were forecast before it started")
    words.append(f"{memory(free_mib)} of the machine are free")
    return "; ".join(words)
