"""The English text of presets 11 to 14: fetched once, checked, kept; or a stand-in for it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from femtotui.core.errors import DataError
from femtotui.core.files import os_error_words, write_atomically
from femtotui.core.training.batches import Source

from .toml_file import visible
from .user_files import split_text

Download = Callable[[int, int], None]
"""Is told now and then how many bytes have come, and of how many."""

CACHE_VARIABLE = "FEMTOTUI_CACHE"
TIMEOUT_SECONDS = 20.0
PIECE_BYTES = 65_536
USER_AGENT = "femtotui"

STAND_IN_COMMAND = (
    'python3 -c \'import sys; from pydoc_data.topics import topics; sys.stdout.buffer.write("\\n\\n".join('
    "topics[name] for name in sorted(topics)).encode())' > dataset.txt"
)


@dataclass(frozen=True)
class RemoteText:
    """A text on the net that is known to the byte."""

    url: str
    n_bytes: int
    sha256: str

    def is_it(self, text: bytes) -> bool:
        return len(text) == self.n_bytes and hashlib.sha256(text).hexdigest() == self.sha256


ENGLISH = RemoteText(
    url="https://raw.githubusercontent.com/keyvank/femtoGPT/d00da389998bcef3ba483bb7a0614f4e874e1d06/dataset.txt",
    n_bytes=1_115_390,
    sha256="434c0554a8c4c53dc17e56a0abb0f30b88f83cbceb0289cb897db68c25e89eba",
)
"""femtoGPT's dataset.txt, at the commit the journal links to."""


def open_english(download: Download | None) -> Source:
    """The journal's text if it is at hand or may be downloaded, else a stand-in that says so."""
    text = _cached()
    if text is None and download is not None:
        download_english(download)
        text = _cached()
    if text is None:
        return _stand_in()
    train, validation = split_text(text)
    return Source(
        name="english", train=train, validation=validation, command=f"curl -L {ENGLISH.url} > dataset.txt"
    )


def english_is_cached() -> bool:
    """Whether the text is here, whole and unchanged."""
    return _cached() is not None


def download_english(progress: Download) -> Path:
    """Fetch the text, check it and put it in the cache; returns its path.

    Nothing is left behind by a download that fails or is broken off.

    Raises:
        DataError: no network, another text than the known one, no space, or a folder that cannot be
            written, in words.
    """
    text = _fetch(ENGLISH, progress)
    if not ENGLISH.is_it(text):
        raise DataError(
            f"what came from {ENGLISH.url} is not the journal's text (sha256 "
            f"{hashlib.sha256(text).hexdigest()[:16]}…, {len(text):,} bytes): nothing was kept; try again, "
            "or give a copy of your own with --data"
        )
    path = cache_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
    except (OSError, ValueError) as error:
        words = os_error_words(error) if isinstance(error, OSError) else str(error)
        raise DataError(
            f"cannot keep the download in {visible(str(path.parent))}: {words} "
            f"({CACHE_VARIABLE} names another folder)"
        ) from error
    return path


def cache_path() -> Path:
    """Where the text is kept: in the user's cache folder, or in the one that FEMTOTUI_CACHE names."""
    folder = os.environ.get(CACHE_VARIABLE)
    if folder:
        return Path(os.path.expanduser(folder)) / "english.txt"  # noqa: PTH111 - never raises, unlike Path's
    return platformdirs.user_cache_path("femtotui", appauthor=False) / "english.txt"


def _cached() -> bytes | None:
    try:
        text = cache_path().read_bytes()
    except (OSError, ValueError):
        return None
    return text if ENGLISH.is_it(text) else None


def _fetch(remote: RemoteText, progress: Download) -> bytes:
    # Imported here, because they take longer than all else that starts with the app.
    import http.client  # noqa: PLC0415
    import urllib.error  # noqa: PLC0415
    import urllib.request  # noqa: PLC0415

    request = urllib.request.Request(remote.url, headers={"User-Agent": USER_AGENT})
    text = bytearray()
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            progress(0, remote.n_bytes)
            # One byte more than there should be is enough to know that this is another text.
            while len(text) <= remote.n_bytes:
                piece = answer.read(min(PIECE_BYTES, remote.n_bytes + 1 - len(text)))
                if not piece:
                    break
                text += piece
                progress(min(len(text), remote.n_bytes), remote.n_bytes)
    except urllib.error.HTTPError as error:
        raise DataError(
            f"{remote.url} cannot be had: the server answers {error.code} {visible(error.reason)}; "
            "try later, or give a text of your own with --data"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise DataError(
            f"{remote.url} cannot be reached ({_network_words(error)}): check the network and try again, "
            "or give a text of your own with --data"
        ) from error
    return bytes(text)


def _network_words(error: Exception) -> str:
    """What went wrong; urllib wraps the true cause as the reason of its own error."""
    cause = getattr(error, "reason", error)
    if isinstance(cause, TimeoutError):
        return f"no answer for {TIMEOUT_SECONDS:g} seconds"
    return visible(getattr(cause, "strerror", None) or str(cause) or type(cause).__name__)


def _stand_in() -> Source:
    try:
        from pydoc_data.topics import topics  # noqa: PLC0415 - half a megabyte, for this alone
    except ImportError as error:
        raise DataError(
            f"the English text is not downloaded, and this Python lacks its stand-in (pydoc_data): fetch "
            f"{ENGLISH.url}, and give the file with --data"
        ) from error
    text = "\n\n".join(topics[name] for name in sorted(topics)).encode()
    train, validation = split_text(text)
    return Source(
        name="english (stand-in: Python's help texts)",
        train=train,
        validation=validation,
        notes=(
            "This is not the journal's English text, which is not downloaded, but a stand-in: the help texts "
            f"that come with Python (pydoc_data.topics, {len(text) / 1e3:,.0f} KB). Losses do not compare "
            f"with the journal's. For the real one, let it be downloaded when asked "
            f"({ENGLISH.n_bytes / 1e6:.1f} MB), or fetch {ENGLISH.url} and give the file with --data.",
        ),
        command=STAND_IN_COMMAND,
    )
