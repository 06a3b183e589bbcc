"""An order carried out, on whichever machine."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from femtotui.core.errors import FemtoError
from femtotui.core.files import os_error_words

from ..paths import cache_folder
from .archive import pack_run
from .attempt import Attempt
from .messages import Order, Outcome, Reply, Report
from .text_store import keep_text


def carry_out(
    order: Order,
    text: bytes,
    worker: str,
    report: Callable[[Report], None],
    is_asked_to_stop: Callable[[], bool],
) -> Reply:
    """Trains an order to its end; raises nothing: whoever waits for the reply would get none."""
    try:
        attempt = Attempt(
            order, _scratch() / order.sweep / str(order.index), worker, report, is_asked_to_stop
        )
        outcome, folder = attempt.run(keep_text(text, _scratch() / "texts"))
        return Reply(outcome=outcome, archive=pack_run(folder) if folder else b"")
    except FemtoError as error:
        reason = f"{error.title}: {error}"
    except OSError as error:
        reason = f"on its worker: {os_error_words(error)}"
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
    return Reply(outcome=Outcome(index=order.index, state="failed", worker=worker, reason=reason))


def discard(sweep: str) -> None:
    """Clears away what a sweep that is home has left on this machine's disk."""
    shutil.rmtree(_scratch() / sweep, ignore_errors=True)


def _scratch() -> Path:
    return cache_folder() / "sweeps"
