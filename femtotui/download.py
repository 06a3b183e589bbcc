"""Downloading the English text in the background."""

from __future__ import annotations

import threading
from collections.abc import Callable

from textual.message import Message

from femtotui.core.errors import FemtoError
from femtotui.presets.sources import download_english

from .messages import DownloadEnded, DownloadMoved


def start_download(post: Callable[[Message], object]) -> threading.Thread:
    """Download in a thread of its own; `post` gets DownloadMoved now and then, and DownloadEnded at the end.

    The thread is a daemon: a network that does not answer must not keep anybody from leaving.
    """

    def moved(received: int, total: int) -> None:
        post(DownloadMoved(received, total))

    def work() -> None:
        try:
            download_english(moved)
        except FemtoError as error:
            post(DownloadEnded(str(error)))
        else:
            post(DownloadEnded())

    thread = threading.Thread(target=work, name="download", daemon=True)
    thread.start()
    return thread
