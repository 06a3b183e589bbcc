"""The command `femtotui data`: the texts that are not part of femtotui."""

from __future__ import annotations

import sys

import click

from .options import say


@click.group()
def data() -> None:
    """The texts that are not part of femtotui."""


@data.command()
def english() -> None:
    """Download the English text of presets 11 to 14 (1.1 MB), and check it."""
    from femtotui.presets.sources import english_is_cached  # noqa: PLC0415

    if english_is_cached():
        say("the English text is already here")
    else:
        fetch_english()


def fetch_english() -> None:
    """Downloads the English text, with a bar on a terminal. Raises: DataError."""
    from femtotui.presets.sources import download_english  # noqa: PLC0415

    if sys.stderr.isatty():
        from .progress import DownloadBar  # noqa: PLC0415

        with DownloadBar() as moved:
            path = download_english(moved)
    else:
        path = download_english(lambda _received, _total: None)
    say(f"the English text is in {path}")
