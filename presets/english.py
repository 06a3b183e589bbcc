"""The English text of presets 11 to 14: downloaded once, verified and cached; and its stand-in."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from femtotui.core.errors import DataError, TextUnavailableError
from femtotui.core.files import reraise_os_errors, write_atomically

from .toml_file import visible

Download = Callable[[int, int], None]
"""Receives the progress of a download: bytes received so far, and in total."""

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
    """A text on the internet, identified by its size and checksum."""

    url: str
    n_bytes: int
    sha256: str

    def matches(self, text: bytes) -> bool:
        return len(text) == self.n_bytes and hashlib.sha256(text).hexdigest() == self.sha256


ENGLISH = RemoteText(
    url="https://raw.githubusercontent.com/keyvank/femtoGPT/d00da389998bcef3ba483bb7a0614f4e874e1d06/dataset.txt",
    n_bytes=1_115_390,
    sha256="434c0554a8c4c53dc17e56a0abb0f30b88f83cbceb0289cb897db68c25e89eba",
)
"""femtoGPT's dataset.txt, at the commit the journal links to."""


def cached_english() -> bytes | None:
    """The text, if it was downloaded and is unchanged."""
    with suppress(OSError, ValueError):
        text = cache_path().read_bytes()
        return text if ENGLISH.matches(text) else None
    return None


def english_is_cached() -> bool:
    """Whether the text was downloaded and is unchanged."""
    return cached_english() is not None


def download_english(progress: Download) -> Path:
    """Download the text, verify it and put it in the cache; returns its path.

    A download that fails or is interrupted leaves nothing behind.

    Raises: DataError if there is no network, the text is not the known one or it cannot be written.
    """
    text = _fetch(progress)
    if not ENGLISH.matches(text):
        raise TextUnavailableError(
            f"the text at {ENGLISH.url} is not the journal's text (sha256 "
            f"{hashlib.sha256(text).hexdigest()[:16]}…, {len(text):,} bytes): nothing was kept; try again, "
            "or use a text of your own"
        )
    path = cache_path()
    action = f"keep the download in {visible(str(path.parent))} ({CACHE_VARIABLE} names another folder)"
    with reraise_os_errors(DataError, action):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
    return path


def cache_path() -> Path:
    """The file of the text: in the user's cache folder, or in the one that FEMTOTUI_CACHE names."""
    folder = os.environ.get(CACHE_VARIABLE)
    if folder:
        return Path(os.path.expanduser(folder)) / "english.txt"  # noqa: PTH111 - never raises, unlike Path's
    return platformdirs.user_cache_path("femtotui", appauthor=False) / "english.txt"


def _fetch(progress: Download) -> bytes:
    # Slow to import, and the app needs them for this only.
    import http.client  # noqa: PLC0415
    import urllib.error  # noqa: PLC0415
    import urllib.request  # noqa: PLC0415

    remote = ENGLISH
    request = urllib.request.Request(remote.url, headers={"User-Agent": USER_AGENT})
    text = bytearray()
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            progress(0, remote.n_bytes)
            # One byte more than expected is enough to see that this is another text.
            while len(text) <= remote.n_bytes:
                piece = answer.read(min(PIECE_BYTES, remote.n_bytes + 1 - len(text)))
                if not piece:
                    break
                text += piece
                progress(min(len(text), remote.n_bytes), remote.n_bytes)
    except urllib.error.HTTPError as error:
        raise TextUnavailableError(
            f"cannot download {remote.url}: the server answers {error.code} {visible(error.reason)}; "
            "try later, or use a text of your own"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise TextUnavailableError(
            f"{remote.url} cannot be reached ({_network_words(error)}): check the network and try again, "
            "or use a text of your own"
        ) from error
    return bytes(text)


def _network_words(error: Exception) -> str:
    """The cause of a network error, which urllib wraps as the `reason` of an error of its own."""
    cause = getattr(error, "reason", error)
    if isinstance(cause, TimeoutError):
        return f"no answer for {TIMEOUT_SECONDS:g} seconds"
    return visible(getattr(cause, "strerror", None) or str(cause) or type(cause).__name__)


def english_stand_in() -> bytes:
    """Python's help texts. Raises: DataError if this Python lacks them."""
    try:
        from pydoc_data.topics import topics  # noqa: PLC0415 - half a megabyte
    except ImportError as error:
        raise TextUnavailableError(
            "the English text is not downloaded, and this Python lacks its stand-in (pydoc_data): download "
            f"{ENGLISH.url}, and train on that file"
        ) from error
    return "\n\n".join(topics[name] for name in sorted(topics)).encode()
