"""What the panels say of a run: two short lines each, no screen."""

from __future__ import annotations

from typing import NamedTuple

from .run_view import RunView, Status
from .wording import UNKNOWN, duration, loss, memory, milliseconds, rate

PANELS = ("step", "loss", "elapsed", "RAM", "speed")


class Lines(NamedTuple):
    """The line that catches the eye, and the quieter one below it."""

    main: str
    sub: str


def panel_lines(view: RunView | None) -> dict[str, Lines]:
    """The lines of every panel, by its title."""
    if view is None:
        return {name: Lines(UNKNOWN, "") for name in PANELS}
    ms, tokens = view.ms_per_step, view.tokens_per_s
    return {
        "step": Lines(f"{view.step:,}", f"of {view.total_steps:,}"),
        "loss": Lines(loss(view.smoothed_loss), f"val {loss(view.val_loss)}"),
        "elapsed": Lines(duration(view.elapsed_s), _left(view)),
        "RAM": _ram(view),
        "speed": Lines(
            f"{milliseconds(ms)}/step" if ms is not None else UNKNOWN,
            rate(tokens) if tokens is not None else "",
        ),
    }


def _ram(view: RunView) -> Lines:
    if not view.total_mib:
        return Lines(UNKNOWN, "")
    return Lines(memory(view.total_mib), f"peak {memory(view.peak_mib).removesuffix(' MiB')}")


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


def figures_line(view: RunView | None) -> str:
    """Learning rate and gradient norm, for those who look."""
    if view is None or view.lr is None or view.grad_norm is None:
        return ""
    return f"learning rate {view.lr:.2e}  gradient {view.grad_norm:6.3f}"
