"""`--threads` and `--chunk`, for every command that trains. Left out they are chosen; 0 is a mistake."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from femtotui.core.errors import ConfigError

_Command = TypeVar("_Command", bound=Callable[..., Any])


def thread_options(command: _Command) -> _Command:
    """Gives a command both options, as `threads: int | None` and `chunk: int | None`."""
    chunk = click.option(
        "--chunk",
        type=int,
        callback=_at_least_one,
        help="Sequences a thread works on at a time (default: chosen).",
    )
    threads = click.option(
        "--threads",
        type=int,
        callback=_at_least_one,
        help="How many threads share a batch (default: one a core).",
    )
    return threads(chunk(command))


def too_many_threads(threads: int | None) -> str:
    """What to say of more threads than cores, "" if there is nothing to say. Loads NumPy."""
    from femtotui.core.parallel import usable_cores  # noqa: PLC0415

    cores = usable_cores()
    if threads is None or threads <= cores:
        return ""
    return f"{threads:,} threads are more than this machine's {cores} core{'' if cores == 1 else 's'}"


def _at_least_one(_context: click.Context, option: click.Parameter, value: int | None) -> int | None:
    if value is not None and value < 1:
        raise ConfigError(
            f"{option.name} must be a whole number from 1 on, not {value:,}: "
            f"leave --{option.name} out to have it chosen"
        )
    return value
